"""The stack on moto's server, with what the events in ``events/`` ask for."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from local.aws import Aws
from local.functions import load_app
from local.stack import deploy
from tests.events import seed
from tests.world import ENVIRONMENT, World


@contextlib.contextmanager
def served(host: str = "127.0.0.1") -> Iterator[World]:
    """The stack, whose functions run in this process, until the end of the block; ``AWS_ENDPOINT_URL`` leads to it."""
    with pytest.MonkeyPatch.context() as patch:
        # else moto takes the first part of whatever this machine is called for a bucket's name
        patch.setenv("S3_IGNORE_SUBDOMAIN_BUCKETNAME", "true")
        aws = Aws(host)
        endpoint = f"http://127.0.0.1:{urlsplit(aws.endpoint()).port}"
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint}).items():
            patch.setenv(name, value)
        stack = deploy({})
        for function in stack.functions.values():
            for name, value in function.environment.items():
                patch.setenv(name, value)
        world = World(stack, {name: load_app(one.folder).handler for name, one in stack.functions.items()})
        seed(world)
        yield world
    aws.end()
