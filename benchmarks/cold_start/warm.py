"""Answers one event time and again, as a program of its own, and prints what the function itself took, in milliseconds.

Called as ``python warm.py EVENT.json TIMES`` with what the function needs on ``PYTHONPATH``. The wait for AWS is left
out: from when a request is handed to the network until its answer is there.
"""

import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import handler
from botocore.httpsession import URLLib3Session

waited = 0.0
_send = URLLib3Session.send


def _timed(session: URLLib3Session, request: Any) -> Any:
    global waited  # noqa: PLW0603 - one process measures one function
    began = time.perf_counter()
    try:
        return _send(session, request)
    finally:
        waited += time.perf_counter() - began


@dataclass
class Context:
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


def main() -> None:
    global waited
    URLLib3Session.send = _timed
    event, took = json.loads(Path(sys.argv[1]).read_text()), []
    answers = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the function's log
    for _ in range(int(sys.argv[2])):
        waited, began = 0.0, time.perf_counter()
        answer = handler(event, Context())
        took.append(time.perf_counter() - began - waited)
        assert answer.get("statusCode", 200) in range(200, 300), answer
    os.write(answers, json.dumps({"first": took[0] * 1000, "median": statistics.median(took[1:]) * 1000}).encode())


if __name__ == "__main__":
    main()
