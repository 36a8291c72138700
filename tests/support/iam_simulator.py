"""IAM's decisions, by @cloud-copilot/iam-simulate in a process of Node's."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.iam_requests import Request

HERE = Path(__file__).parents[1] / "iam"
NODE = Path(sys.executable).with_name("node")

#: The condition keys that have several values.
LISTS = {"dynamodb:LeadingKeys"}

type Policy = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what its policies are."""

    arn: str
    identity: Sequence[Policy] = ()
    boundary: Sequence[Policy] | None = None


@dataclass(slots=True)
class Simulator:
    """Answers whether requests are allowed. ``resource_policies`` are those of buckets and queues, by ARN."""

    process: subprocess.Popen[str]
    resource_policies: dict[str, Policy] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def allowed(self, principal: Principal, requests: Sequence[Request], *, secure: bool = True) -> list[bool]:
        """Which of ``requests`` are allowed, if they come over TLS or not.

        Raises:
            ValueError: AWS knows no such action, or it takes no such resource or condition key.
        """
        question = {
            "identity": principal.identity,
            "boundary": principal.boundary,
            "requests": [
                {
                    "principal": principal.arn,
                    "action": request.action,
                    "resource": request.resource,
                    "context": {"aws:SecureTransport": str(secure).lower()}
                    | {key: list(values) if key in LISTS else values[0] for key, values in request.context},
                    "resourcePolicy": self._resource_policy(request.resource),
                }
                for request in requests
            ],
        }
        assert self.process.stdin
        assert self.process.stdout
        with self._lock:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, dict):
            raise ValueError(answer["error"])  # noqa: TRY004 - the question's values are wrong, not a type
        return [decision == "Allowed" for decision in answer]

    def _resource_policy(self, resource: str) -> Policy | None:
        bucket = resource.partition("/")[0] if resource.startswith("arn:aws:s3:") else resource
        return self.resource_policies.get(bucket)


@contextlib.contextmanager
def simulator() -> Iterator[Simulator]:
    """The simulator, until the end of the block."""
    with subprocess.Popen(
        [NODE, HERE / "simulate.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Simulator(process)
        assert process.stdin
        process.stdin.close()
