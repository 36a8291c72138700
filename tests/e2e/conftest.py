"""The local stack as a user starts it, asked over HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from tests.clients import Answer, Client

ROOT = Path(__file__).parents[2]
START_UP = 60


class RunningStack:
    """What ``.local/stack.json`` says, and nothing else."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description
        self.table: str = description["table"]
        self.bus: str = description["bus"]
        self.buckets: dict[str, str] = description["buckets"]
        self.session = requests.Session()

    def aws(self, service: str) -> Any:
        own = {"dynamodb": "AWS_ENDPOINT_URL_DYNAMODB", "s3": "AWS_ENDPOINT_URL_S3"}.get(service, "")
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=os.environ.get(own, self.description["endpoint_url"]),
            region_name="eu-west-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        answer = requests.request(
            method, self.description["base_url"] + path, headers=headers, data=body, timeout=60, allow_redirects=False
        )
        try:
            content = answer.json()
        except ValueError:
            content = None
        return Answer(answer.status_code, dict(answer.headers), answer.content, content)

    def client(self, nick: str) -> Client:
        user = self.description["users"][nick]
        return Client(self.send, user["api_key"], user["user_id"], user["email"])


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """`make run`'s program, on a free port."""
    written = ROOT / ".local" / "stack.json"
    written.unlink(missing_ok=True)
    log = tmp_path_factory.mktemp("stack") / "log"
    environment = os.environ | {"PORT": "0", "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}"}
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
            yield RunningStack(json.loads(written.read_text()))
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert not written.exists()


@pytest.fixture
def alice(stack: RunningStack) -> Client:
    return stack.client("alice")


@pytest.fixture
def bob(stack: RunningStack) -> Client:
    return stack.client("bob")
