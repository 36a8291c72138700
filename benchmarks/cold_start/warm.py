"""Program that invokes a function many times with one event and prints the durations in milliseconds as JSON.

Usage: ``python warm.py EVENT.json TIMES``, with the function's code on ``PYTHONPATH``. ``first`` and
``median`` exclude the time spent waiting for AWS: from sending a request until its response has arrived.
"""

import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from app import handler  # type: ignore[import-not-found]  # each function's folder has an `app`: PYTHONPATH chooses one
from botocore.httpsession import URLLib3Session


class Stopwatch:
    """The seconds that this process has waited for AWS since it was last set to 0."""

    def __init__(self) -> None:
        self.seconds = 0.0
        send = URLLib3Session.send

        def send_and_time(session: URLLib3Session, request: Any) -> Any:
            started = time.perf_counter()
            try:
                return send(session, request)
            finally:
                self.seconds += time.perf_counter() - started

        patch.object(URLLib3Session, "send", send_and_time).start()


@dataclass
class Context:
    """The context object of an invocation, with Lambda's names."""

    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out."""
        return 10_000


def main() -> None:
    """Invoke the function and print the time of the first invocation and the median of the others."""
    stopwatch = Stopwatch()
    event = json.loads(Path(sys.argv[1]).read_text())
    durations, own_durations = [], []
    results = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # discards the function's log
    for _ in range(int(sys.argv[2])):
        stopwatch.seconds, started = 0.0, time.perf_counter()
        response = handler(event, Context())
        durations.append(time.perf_counter() - started)
        own_durations.append(durations[-1] - stopwatch.seconds)
        assert response.get("statusCode", 200) in range(200, 300), response
    seconds = {
        "first_with_aws": durations[0],
        "first": own_durations[0],
        "median": statistics.median(own_durations[1:]),
    }
    milliseconds = {name: duration * 1000 for name, duration in seconds.items()}
    os.write(results, json.dumps(milliseconds).encode())


if __name__ == "__main__":
    main()
