"""The command line as its users start it: a program, its arguments, what it prints, and its exit code."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli_process import Projects
from tests.support.fake_api import Service, archive, serve

FILES = {"models/m.bin": random.Random(1).randbytes(3 << 20), "report.md": b"# Report\n"}
KEY = "prj_0123456789abcdef_a-secret-that-nobody-is-to-read"


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service(archive(FILES))
    server = serve(made)
    yield made
    made.stalled.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def projects(service: Service, tmp_path: Path) -> Projects:
    return Projects(tmp_path, {"PROJECTS_API_URL": service.url, "PROJECTS_API_KEY": KEY})
