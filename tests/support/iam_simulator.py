"""A simulator of IAM's decisions: @cloud-copilot/iam-simulate in a Node.js process."""

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

from tests.support.iam_requests import IamRequest

SCRIPT_FOLDER = Path(__file__).parents[1] / "iam"
NODE = Path(sys.executable).with_name("node")

#: The condition keys that have several values.
MULTIVALUED_KEYS = {"dynamodb:LeadingKeys"}

type Policy = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Principal:
    """A principal and its policies.

    Attributes:
        arn: The ARN of the principal, or the name of a service.
        identity: Its identity-based policies.
        boundary: The policies of its permissions boundary, or None without a boundary.
    """

    arn: str
    identity: Sequence[Policy] = ()
    boundary: Sequence[Policy] | None = None


@dataclass(slots=True)
class Simulator:
    """A running simulator.

    Attributes:
        process: The Node.js process.
        resource_policies: The policies of buckets and queues, by ARN.
    """

    process: subprocess.Popen[str]
    resource_policies: dict[str, Policy] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def evaluate(self, principal: Principal, requests: Sequence[IamRequest], *, secure: bool = True) -> list[bool]:
        """Return for each request whether IAM allows it.

        Args:
            principal: The principal that makes the requests.
            requests: The requests.
            secure: Whether they are sent over TLS.

        Raises:
            ValueError: The action does not exist in AWS, or does not support the resource or a condition key.
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
                    | {key: list(values) if key in MULTIVALUED_KEYS else values[0] for key, values in request.context},
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
            decisions = json.loads(self.process.stdout.readline())
        if isinstance(decisions, dict):
            raise ValueError(decisions["error"])  # noqa: TRY004 - a value of the question is wrong, not a type
        return [decision == "Allowed" for decision in decisions]

    def _resource_policy(self, resource: str) -> Policy | None:
        bucket = resource.partition("/")[0] if resource.startswith("arn:aws:s3:") else resource
        return self.resource_policies.get(bucket)


@contextlib.contextmanager
def start_simulator() -> Iterator[Simulator]:
    """Run a simulator until the end of the block."""
    with subprocess.Popen(
        [NODE, SCRIPT_FOLDER / "simulate.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Simulator(process)
        assert process.stdin
        process.stdin.close()
