"""What several files of tests stand on."""

import uuid
from datetime import timedelta

import pytest

from projects_api.archive import plan as planning
from projects_api.domain.exports import export_requests, export_worker
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that hardly wait for an archive: in process nobody assembles it meanwhile."""
    monkeypatch.setattr(export_requests, "WAIT", 0.05)
    monkeypatch.setattr(export_requests, "FIRST_POLL_DELAY", 0.01)


@pytest.fixture
def project_id(app: InProcessApp, alice: Client) -> str:
    """A project with a file of each kind that has files."""
    project_id = alice.create("Größe: 1/2", description="Wörter")
    for kind, name, body in (
        ("Dataset", "daten.csv", b"a,b\n" * 1000),
        ("Model", "../m.bin", bytes(range(256)) * 100),
        ("Report", "bericht ü.md", b""),
    ):
        artifact = app.store(project_id, f"{kind.lower()}s/{uuid.uuid4()}/{name.rpartition('/')[2]}", body)
        resource = {"id": str(uuid.uuid4()), "name": name, "artifact": artifact, "note": {"deep": [1, 2.5, None]}}
        app.announce(f"{kind} Created", project_id, resource)
    app.announce("Experiment Created", project_id, {"id": str(uuid.uuid4()), "name": "e", "duration": 3})
    app.process_queues()
    return project_id


@pytest.fixture
def no_waiting_for_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that have ended as they begin."""
    monkeypatch.setattr(export_worker, "LEASE", timedelta(seconds=-1))


@pytest.fixture
def unit(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> int:
    """What the files are large in: MiB where S3 is real; KiB in memory, with limits of S3 that are as much smaller."""
    if pytestconfig.getoption("engines") == "real":
        return 1 << 20
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "MIN_PART_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "BUFFERED_PART_SIZE", 8 << 10)
    return 1 << 10
