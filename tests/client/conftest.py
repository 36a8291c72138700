"""Fixtures for the ``projects`` command, run as a program against a fake of the API."""

import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_process import ProjectsCommand
from tests.support.fake_api import PROJECT, FakeService, build_archive, start_server

FILES = {"models/m.bin": random.Random(1).randbytes(3 << 20), "report.md": b"# Report\n"}
KEY = "prj_0123456789abcdef_a-secret-that-nobody-is-to-read"


def build_project(name: str, number: int) -> dict[str, Any]:
    return PROJECT | {"name": name, "id": str(uuid.UUID(int=number))}


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake_service = FakeService(build_archive(FILES))
    server = start_server(fake_service)
    yield fake_service
    fake_service.resumed.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def projects(service: FakeService, tmp_path: Path) -> ProjectsCommand:
    return ProjectsCommand(tmp_path, {"PROJECTS_API_URL": service.url, "PROJECTS_API_KEY": KEY})
