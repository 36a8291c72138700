"""The stack on moto's server, with the data that the events in `events/` refer to."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from local.deployment import deploy
from local.function_runner import load_app
from local.moto_server import MotoServer
from tests.support.in_process_app import ENVIRONMENT, InProcessApp
from tests.support.sample_events import create_sample_data


@contextlib.contextmanager
def start_moto_server_app(host: str = "127.0.0.1") -> Iterator[InProcessApp]:
    """Run the stack on moto's server until the end of the block, with its functions in this process.

    `AWS_ENDPOINT_URL` names the server.

    Args:
        host: The address at which the server listens.

    Yields:
        The app, which has the sample data.
    """
    with pytest.MonkeyPatch.context() as patch:
        # otherwise moto takes the first label of this machine's host name for a bucket name
        patch.setenv("S3_IGNORE_SUBDOMAIN_BUCKETNAME", "true")
        aws = MotoServer(host)
        endpoint = f"http://127.0.0.1:{urlsplit(aws.wait_for_endpoint()).port}"
        for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint}).items():
            patch.setenv(name, value)
        stack = deploy({})
        for function in stack.functions.values():
            for name, value in function.environment.items():
                patch.setenv(name, value)
        app = InProcessApp(
            stack, {name: load_app(function.folder).handler for name, function in stack.functions.items()}
        )
        create_sample_data(app)
        yield app
    aws.stop()
