"""The deadline of a request, and the timeouts of one call to AWS.

A route responds before its function times out, even while DynamoDB hangs.
docs/explanation/faults.md has the arithmetic.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError

#: Attempts per call, the first one included.
MAX_ATTEMPTS = 3

#: Timeouts of one attempt, in seconds.
CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 2.0

#: Longest pause between two attempts, in seconds. botocore draws it at random between 0 and 1, 2, 4, ... seconds
#: (https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html#standard-retry-mode).
MAX_BACKOFF = 2.0 ** (MAX_ATTEMPTS - 2)

#: Time that a request keeps for its response, in seconds.
TIME_RESERVE = 0.5


class DeadlineExceededError(BotoCoreError):
    """Another attempt might end after the deadline."""

    fmt = "There is no time left for another attempt"


class Deadline:
    """The deadline for the AWS calls of a request. Calls fail early enough that the request can still respond."""

    #: Longest duration of one attempt and the pause after it, in seconds.
    MAX_ATTEMPT_SECONDS = CONNECT_TIMEOUT + READ_TIMEOUT + MAX_BACKOFF

    def __init__(self) -> None:
        self._at = math.inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit all AWS calls of this process to ``seconds``, less ``TIME_RESERVE``. Other calls have no deadline."""
        self._at = time.monotonic() + seconds - TIME_RESERVE
        try:
            yield
        finally:
            self._at = math.inf

    def check(self, **_: Any) -> None:
        """Raise an error if an attempt that starts now might outlast the deadline. botocore calls this before each one.

        Raises:
            DeadlineExceededError: Too little time is left.
        """
        if time.monotonic() + self.MAX_ATTEMPT_SECONDS > self._at:
            raise DeadlineExceededError


deadline = Deadline()
