"""The stack on moto's server, with what the events in ``events/`` ask for."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from local.deployment import deploy
from local.function_runner import load_app
from local.moto_server import MotoServer
from tests.support.in_process_app import ENVIRONMENT, InProcessApp
from tests.support.sample_events import seed


@contextlib.contextmanager
def moto_server_app(host: str = "127.0.0.1") -> Iterator[InProcessApp]:
    """The stack, whose functions run in this process, until the end of the block; ``AWS_ENDPOINT_URL`` leads to it."""
    with pytest.MonkeyPatch.context() as patch:
        # else moto takes the first part of whatever this machine is called for a bucket's name
        patch.setenv("S3_IGNORE_SUBDOMAIN_BUCKETNAME", "true")
        aws = MotoServer(host)
        endpoint = f"http://127.0.0.1:{urlsplit(aws.endpoint()).port}"
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint}).items():
            patch.setenv(name, value)
        stack = deploy({})
        for function in stack.functions.values():
            for name, value in function.environment.items():
                patch.setenv(name, value)
        app = InProcessApp(stack, {name: load_app(one.folder).handler for name, one in stack.functions.items()})
        seed(app)
        yield app
    aws.end()
