"""The deadline of a request, and the timeouts of one call to AWS.

A route responds before its function times out, even while DynamoDB hangs. docs/explanation/faults.md has the arithmetic.
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
#: (boto3 guide, "Retries", standard mode).
MAX_BACKOFF = 2.0 ** (MAX_ATTEMPTS - 2)

#: What is kept of a request's time for answering it, in seconds.
TIME_RESERVE = 0.5


class DeadlineExceededError(BotoCoreError):
    """Another try might end after the request has to be answered."""

    fmt = "There is no time left for another try"


class Deadline:
    """Until when a request must be answered; calls fail while there is still time to say so."""

    #: The longest that one try takes, with the pause behind it.
    MAX_TRY_SECONDS = CONNECT_TIMEOUT + READ_TIMEOUT + MAX_BACKOFF

    def __init__(self) -> None:
        self._at = math.inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Makes all calls of this process end within ``seconds``. Outside of it they take what time they need."""
        self._at = time.monotonic() + seconds - TIME_RESERVE
        try:
            yield
        finally:
            self._at = math.inf

    def check(self, **_: Any) -> None:
        """What a client asks before each try.

        Raises:
            DeadlineExceededError: A try begun now might outlast the deadline.
        """
        if time.monotonic() + self.MAX_TRY_SECONDS > self._at:
            raise DeadlineExceededError


deadline = Deadline()
