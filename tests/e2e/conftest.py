"""The local stack, started as a user starts it and called over HTTP."""

from collections.abc import Iterator

import pytest

from local.engines import Engines
from tests.support.api_client import Client
from tests.support.running_stack import RunningStack, start_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, real_engines: Engines | None) -> Iterator[RunningStack]:
    """Run the program of `make run` on a free port, with the engines of the test run."""
    with start_stack(
        tmp_path_factory.mktemp("stack") / "local", **(real_engines.environment if real_engines else {})
    ) as running_stack:
        yield running_stack


@pytest.fixture
def alice(stack: RunningStack) -> Client:
    return stack.client("alice")


@pytest.fixture
def bob(stack: RunningStack) -> Client:
    return stack.client("bob")
