"""The local stack as a user starts it, asked over HTTP."""

from collections.abc import Iterator

import pytest

from local.engines import Engines
from tests.support.api_client import Client
from tests.support.running_stack import RunningStack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, real_engines: Engines | None) -> Iterator[RunningStack]:
    """`make run`'s program, on a free port, on the engines that the tests are run on."""
    with running(
        tmp_path_factory.mktemp("stack") / "local", **(real_engines.environment if real_engines else {})
    ) as it:
        yield it


@pytest.fixture
def alice(stack: RunningStack) -> Client:
    return stack.client("alice")


@pytest.fixture
def bob(stack: RunningStack) -> Client:
    return stack.client("bob")
