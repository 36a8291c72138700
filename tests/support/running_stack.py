"""The stack as a user starts it: in a process of its own, reached over HTTP."""

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
from tests.support.api_client import Client, Response

ROOT = Path(__file__).parents[2]

#: How long the stack may take to start, in seconds.
START_TIMEOUT = 180


class RunningStack:
    """A running stack, as its `stack.json` describes it.

    Attributes:
        description: The content of `stack.json`.
        folder: The folder of the stack's files.
        table: The name of the table.
        bus: The name of the event bus.
        buckets: The names of the buckets.
        session: An HTTP session.
        process: The process of `make run`.
    """

    def __init__(
        self,
        description: dict[str, Any],
        folder: Path,
        environment: dict[str, str],
        process: subprocess.Popen[bytes],
    ) -> None:
        self.description = description
        self.folder = folder
        self._environment = environment
        self.table: str = description["table"]
        self.bus: str = description["bus"]
        self.buckets: dict[str, str] = description["buckets"]
        self.session = requests.Session()
        self.process = process

    def aws(self, service: str) -> Any:
        """Return a boto3 client of the stack's AWS."""
        variable = {"dynamodb": "AWS_ENDPOINT_URL_DYNAMODB", "s3": "AWS_ENDPOINT_URL_S3"}.get(service, "")
        return boto3.client(
            service,  # type: ignore[call-overload]  # of any service
            endpoint_url=self._environment.get(variable, self.description["endpoint_url"]),
            region_name=self.description["region"],
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Response:
        """Send a request to the stack."""
        response = requests.request(
            method, self.description["base_url"] + path, headers=headers, data=body, timeout=60, allow_redirects=False
        )
        return Response.from_http(response)

    def client(self, nick: str) -> Client:
        """Return a client for one of the demo users."""
        user = self.description["users"][nick]
        return Client(self.send, user["api_key"], user["user_id"], user["email"])

    def register_user(self, nick: str) -> Client:
        """Register a user and create an API key for them, with the functions that only IAM principals may invoke."""
        email = f"{nick}-{uuid.uuid4()}@example.com"
        user = self._invoke("RegisterUser", {"email": email, "name": nick.title()})
        key = self._invoke("CreateApiKey", {"email": email, "scopes": ["read", "write"]})
        return Client(self.send, key["api_key"], user["user_id"], email)

    def _invoke(self, function: str, event: dict[str, Any]) -> Any:
        resource = self.aws("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=function)
        name = resource["StackResourceDetail"]["PhysicalResourceId"]
        return json.loads(self.aws("lambda").invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())


@contextlib.contextmanager
def start_stack(folder: Path, **environment: str) -> Iterator[RunningStack]:
    """Run the program of `make run` on a free port until the end of the block.

    Args:
        folder: The folder for the stack's files.
        environment: Additional environment variables.
    """
    folder.mkdir(exist_ok=True)
    stack_file, log = folder / "stack.json", folder / "log"
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
            deadline = time.monotonic() + START_TIMEOUT
            while not stack_file.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield RunningStack(json.loads(stack_file.read_text()), folder, environment, process)
        finally:
            killed = process.poll() == -signal.SIGKILL  # by the test
            if not killed:
                process.send_signal(signal.SIGINT)
                assert process.wait(60) == 0
                assert not stack_file.exists()
