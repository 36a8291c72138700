"""The stack as a user starts it, in a program of its own, asked over HTTP."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import requests

from local.stack import STACK
from tests.support.api_client import Answer, Client

ROOT = Path(__file__).parents[2]
START_UP = 180


class RunningStack:
    """What ``stack.json`` says, and nothing else."""

    def __init__(self, description: dict[str, Any], folder: Path, environment: dict[str, str]) -> None:
        self.description = description
        self.folder = folder
        self._environment = environment
        self.table: str = description["table"]
        self.bus: str = description["bus"]
        self.buckets: dict[str, str] = description["buckets"]
        self.session = requests.Session()

    def aws(self, service: str) -> Any:
        own = {"dynamodb": "AWS_ENDPOINT_URL_DYNAMODB", "s3": "AWS_ENDPOINT_URL_S3"}.get(service, "")
        return boto3.client(
            service,  # type: ignore[call-overload]  # of any service
            endpoint_url=self._environment.get(own, self.description["endpoint_url"]),
            region_name="eu-west-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        answer = requests.request(
            method, self.description["base_url"] + path, headers=headers, data=body, timeout=60, allow_redirects=False
        )
        return Answer.of(answer)

    def client(self, nick: str) -> Client:
        user = self.description["users"][nick]
        return Client(self.send, user["api_key"], user["user_id"], user["email"])

    def registered(self, nick: str) -> Client:
        """A new user with a key, by the functions that only IAM may invoke."""
        email = f"{nick}-{uuid.uuid4()}@example.com"
        user = self._invoke("RegisterUser", {"email": email, "name": nick.title()})
        key = self._invoke("CreateApiKey", {"email": email, "scopes": ["read", "write"]})
        return Client(self.send, key["api_key"], user["user_id"], email)

    def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        described = self.aws("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=function)
        name = described["StackResourceDetail"]["PhysicalResourceId"]
        return json.loads(self.aws("lambda").invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())


@contextlib.contextmanager
def running(folder: Path, **environment: str) -> Iterator[RunningStack]:
    """`make run`'s program on a free port, with these environment variables more, until the end of the block."""
    folder.mkdir()
    written, log = folder / "stack.json", folder / "log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_ENDPOINT_URL")},
        "PORT": "0",
        "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}",
        "LOCAL_FOLDER": str(folder),
        **environment,
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "local"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
        try:
            deadline = time.monotonic() + START_UP
            while not written.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield RunningStack(json.loads(written.read_text()), folder, environment)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
            assert not written.exists()
