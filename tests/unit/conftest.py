"""What several files of tests stand on."""

import uuid
from datetime import timedelta

import pytest

from projects_api.archive import plan as planning
from projects_api.domain import assembly, exports
from tests.clients import Client
from tests.world import World


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that hardly wait for an archive: in process nobody assembles it meanwhile."""
    monkeypatch.setattr(exports, "WAIT", 0.05)
    monkeypatch.setattr(exports, "FIRST_LOOK", 0.01)


@pytest.fixture
def project_id(world: World, alice: Client) -> str:
    """A project with a file of each kind that has files."""
    project_id = alice.create("Größe: 1/2", description="Wörter")
    for kind, name, body in (
        ("Dataset", "daten.csv", b"a,b\n" * 1000),
        ("Model", "../m.bin", bytes(range(256)) * 100),
        ("Report", "bericht ü.md", b""),
    ):
        artifact = world.store(project_id, f"{kind.lower()}s/{uuid.uuid4()}/{name.rpartition('/')[2]}", body)
        resource = {"id": str(uuid.uuid4()), "name": name, "artifact": artifact, "note": {"deep": [1, 2.5, None]}}
        world.announce(f"{kind} Created", project_id, resource)
    world.announce("Experiment Created", project_id, {"id": str(uuid.uuid4()), "name": "e", "duration": 3})
    world.work_off()
    return project_id


@pytest.fixture
def no_waiting_for_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that have ended as they begin."""
    monkeypatch.setattr(assembly, "LEASE", timedelta(seconds=-1))


@pytest.fixture
def unit(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> int:
    """What the files are large in: MiB where S3 is real; KiB in memory, with limits of S3 that are as much smaller."""
    if pytestconfig.getoption("engines") == "real":
        return 1 << 20
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "LEAST_PART", 5 << 10)
    monkeypatch.setattr(planning, "GATHERED_PART", 8 << 10)
    return 1 << 10
