"""Retries with backoff and jitter, for errors that the AWS client does not retry."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage.aws_errors import ContentionError

ATTEMPTS = 6


def retry[T](attempt: Callable[[], T], *, on: type[StorageUnavailableError] = ContentionError) -> T:
    """What ``attempt`` returns, tried ``ATTEMPTS`` times in all with backoff and jitter while it raises ``on``.

    The client itself tries a call again that was throttled or not answered; this is for what it does not know to be
    worth another try, as two transactions that met.
    """
    for number in range(ATTEMPTS - 1):
        try:
            return attempt()
        except on:
            time.sleep(random.uniform(0, 0.02 * 2**number))  # noqa: S311 - jitter, not a secret
    return attempt()
