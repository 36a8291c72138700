"""What the tests stand on: moto, or with `--engines=real` DynamoDB Local and SeaweedFS."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["POWERTOOLS_SERVICE_NAME"] = "projects"  # loggers are made, and named, as modules are imported

from local.engines import Engines, engines
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp, in_process_app

# no test fails because the machine is busy
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
    parser.addoption("--sam-local", action="store_true", help="ask what `make build` has built, in containers")
    parser.addoption("--write-reach", action="store_true", help="write docs/reach.md as it is measured")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On real engines, runs only what asks them something; without them, not what is about them alone.

    What is about the built artifact is run by itself.
    """
    real, built = config.getoption("engines") == "real", config.getoption("sam_local")

    def wanted(item: pytest.Item) -> bool:
        if built or SAM_LOCAL in item.path.parents:
            return bool(built) and SAM_LOCAL in item.path.parents
        if real:
            asks = bool({"session_app", "stack"} & set(getattr(item, "fixturenames", ())))
            return asks and not item.get_closest_marker("memory")
        return INTEGRATION not in item.path.parents

    config.hook.pytest_deselected(items=[item for item in items if not wanted(item)])
    items[:] = [item for item in items if wanted(item)]


@pytest.fixture(scope="session")
def real_engines(pytestconfig: pytest.Config) -> Iterator[Engines | None]:
    """DynamoDB Local and SeaweedFS, where they are asked for."""
    if pytestconfig.getoption("engines") == "memory":
        yield None
        return
    with engines() as serving:
        yield serving


@pytest.fixture(scope="session")
def session_app(real_engines: Engines | None) -> Iterator[InProcessApp]:
    with in_process_app(real_engines.environment if real_engines else {}) as made:
        yield made


@pytest.fixture(scope="module")
def app(session_app: InProcessApp) -> Iterator[InProcessApp]:
    """The stack in this process."""
    yield session_app
    session_app.forget()


@pytest.fixture
def alice(app: InProcessApp) -> Client:
    return app.user("alice")


@pytest.fixture
def bob(app: InProcessApp) -> Client:
    return app.user("bob")
