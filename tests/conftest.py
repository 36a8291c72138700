"""Fixtures for all tests. The engine is moto or, with `--engines=real`, DynamoDB Local and SeaweedFS."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["POWERTOOLS_SERVICE_NAME"] = "projects"  # loggers get their name when modules are imported

from local.engines import Engines, engines
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp, start_in_process_app

# a test must not fail because the machine is slow
settings.register_profile("busy", settings.default, deadline=None)
settings.load_profile("busy")

INTEGRATION = Path(__file__).parent / "integration"
SAM_LOCAL = Path(__file__).parent / "sam_local"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engines",
        choices=("memory", "real"),
        default="memory",
        help="memory: moto; real: DynamoDB Local and SeaweedFS, which `make engines` installs",
    )
    parser.addoption("--sam-local", action="store_true", help="test the result of `make build`, in containers")
    parser.addoption("--write-reach", action="store_true", help="write the measurements to docs/reach.md")
    parser.addoption(
        "--write-hostile-archives", action="store_true", help="write the table to docs/reference/imports.md"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the tests that the options ask for.

    With real engines, those run that use an engine and are not marked `memory`. Without them, the integration tests do
    not run. The tests of the built artifact run alone.
    """
    real, built = config.getoption("engines") == "real", config.getoption("sam_local")

    def is_selected(item: pytest.Item) -> bool:
        if built or SAM_LOCAL in item.path.parents:
            return bool(built) and SAM_LOCAL in item.path.parents
        if real:
            uses_engine = bool({"session_app", "stack"} & set(getattr(item, "fixturenames", ())))
            return uses_engine and not item.get_closest_marker("memory")
        return INTEGRATION not in item.path.parents

    config.hook.pytest_deselected(items=[item for item in items if not is_selected(item)])
    items[:] = [item for item in items if is_selected(item)]


@pytest.fixture(scope="session")
def real_engines(pytestconfig: pytest.Config) -> Iterator[Engines | None]:
    """Run DynamoDB Local and SeaweedFS. Yield None if the tests use moto."""
    if pytestconfig.getoption("engines") == "memory":
        yield None
        return
    with engines() as serving:
        yield serving


@pytest.fixture(scope="session")
def session_app(real_engines: Engines | None) -> Iterator[InProcessApp]:
    with start_in_process_app(real_engines.environment if real_engines else {}) as app:
        yield app


@pytest.fixture(scope="module")
def app(session_app: InProcessApp) -> Iterator[InProcessApp]:
    """Return the in-process app, and reset it after each module."""
    yield session_app
    session_app.remove_listeners()
    session_app.reset()


@pytest.fixture
def alice(app: InProcessApp) -> Client:
    return app.create_user("alice")


@pytest.fixture
def bob(app: InProcessApp) -> Client:
    return app.create_user("bob")
