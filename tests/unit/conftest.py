"""What several files of tests stand on."""

import uuid

import pytest

from projects_api.domain import exports
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
