"""Fixtures for the unit tests."""

import uuid
from datetime import timedelta

import pytest

from projects_api.archive import plan as planning
from projects_api.domain.exports import export_requests, export_worker
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp


@pytest.fixture
def short_export_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time that a request waits for an archive. In process, no worker assembles it in the meantime."""
    monkeypatch.setattr(export_requests, "WAIT", 0.05)
    monkeypatch.setattr(export_requests, "FIRST_POLL_DELAY", 0.01)


@pytest.fixture
def project_id(app: InProcessApp, alice: Client) -> str:
    """Create a project with a file of each resource type that has files."""
    project_id = alice.create("Größe: 1/2", description="Wörter")
    for type_, name, body in (
        ("Dataset", "daten.csv", b"a,b\n" * 1000),
        ("Model", "../m.bin", bytes(range(256)) * 100),
        ("Report", "bericht ü.md", b""),
    ):
        artifact = app.store_artifact(project_id, f"{type_.lower()}s/{uuid.uuid4()}/{name.rpartition('/')[2]}", body)
        resource = {"id": str(uuid.uuid4()), "name": name, "artifact": artifact, "note": {"deep": [1, 2.5, None]}}
        app.publish_event(f"{type_} Created", project_id, resource)
    app.publish_event("Experiment Created", project_id, {"id": str(uuid.uuid4()), "name": "e", "duration": 3})
    app.process_queues()
    return project_id


@pytest.fixture
def expired_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every lease expire immediately."""
    monkeypatch.setattr(export_worker, "LEASE", timedelta(seconds=-1))


@pytest.fixture
def unit(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the unit of file sizes in bytes: 1 MiB on a real S3, 1 KiB on moto, whose limits are reduced as well."""
    if pytestconfig.getoption("engines") == "real":
        return 1 << 20
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "MIN_PART_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "BUFFERED_PART_SIZE", 8 << 10)
    monkeypatch.setattr(planning, "MAX_GATHERED_SIZE", 1 << 10)
    return 1 << 10
