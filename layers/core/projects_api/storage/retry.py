"""Retries with backoff and jitter, for errors that the AWS client does not retry."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage.aws_errors import ContentionError

#: Number of attempts, including the first.
MAX_ATTEMPTS = 6


def retry[T](attempt: Callable[[], T], *, on: type[StorageUnavailableError] = ContentionError) -> T:
    """Call ``attempt`` up to ``MAX_ATTEMPTS`` times while it raises ``on``, and return its result.

    The AWS client itself retries throttled requests and timeouts. This function retries the errors that the client does
    not retry, such as a conflict of two transactions.

    Args:
        attempt: The function to call.
        on: The error to retry. The last attempt raises it to the caller.
    """
    for number in range(MAX_ATTEMPTS - 1):
        try:
            return attempt()
        except on:
            time.sleep(random.uniform(0, 0.02 * 2**number))  # noqa: S311 - jitter, not a secret
    return attempt()
