"""Retention: a project keeps ten archives that were made by request, and nothing that is still in use is removed."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from projects_api.domain.exports import export_requests, retention
from projects_api.entities.clock import now
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import export_store
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

KEPT, KEPT_IN_DEPLOYMENT = 3, retention.KEPT_ARCHIVES


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[timedelta]]:
    """Keep three archives, and let a test move the clock of exports with ``clock[0]``."""
    offset = [timedelta(0)]
    monkeypatch.setattr(retention, "KEPT_ARCHIVES", KEPT)
    for module in ("domain.exports.retention", "domain.recovery", "storage.dynamodb.export_store"):
        monkeypatch.setattr(f"projects_api.{module}.now", lambda: now() + offset[0])
    monkeypatch.setattr(export_requests, "now", lambda: now() + offset[0])
    yield offset
    offset[0] = timedelta(0)


def export(app: InProcessApp, alice: Client, project_id: str) -> str:
    """Make a new archive by request, and return the id of its export."""
    export_id = str(alice.post(f"/api/projects/{project_id}/exports", {"fresh": True})["export"]["id"])
    app.process_queues()
    return export_id


def list_ids(alice: Client, project_id: str) -> list[str]:
    """Return the ids of the exports, oldest first."""
    return [item["id"] for item in reversed(alice.get(f"/api/projects/{project_id}/exports")["items"])]


def list_archives(app: InProcessApp, project_id: str) -> list[str]:
    """Return the ids of the exports whose archives are in the bucket, oldest first."""
    keys = [key for key in app.find_objects(project_id) if key.endswith(".zip")]
    return sorted(key.partition("/")[2].removesuffix(".zip") for key in keys)


def test_project_keeps_newest_archives(app: InProcessApp, alice: Client, clock: list[timedelta]) -> None:
    """Old archives go once their URLs have expired, with their exports and indexes."""
    project_id = alice.create()
    ids = [export(app, alice, project_id) for _ in range(8)]
    for minutes in (0, 14):
        clock[0] = timedelta(minutes=minutes)
        app.invoke("ResumeStalled", {})
        assert list_archives(app, project_id) == ids
    oldest = alice.get(f"/api/projects/{project_id}/exports/{ids[0]}")["export"]
    assert oldest["download_url"]
    assert oldest["download_url_expires_at"] == oldest["expires_at"]  # no new URL outlives the archive
    clock[0] = timedelta(minutes=17)
    assert list_ids(alice, project_id) == ids[-KEPT:]
    assert app.invoke("ResumeStalled", {})["resumed"] == 5
    assert list_archives(app, project_id) == ids[-KEPT:]
    assert app.find_objects(ids[0]) == []
    assert app.find_items(f"EXPORT#{ids[0]}") == []
    assert app.find_broken_invariants() == []


def test_many_changes(
    app: InProcessApp,
    alice: Client,
    clock: list[timedelta],
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sixty changes with an export each leave ten archives. On moto, which is slow at this, twelve changes do."""
    monkeypatch.setattr(retention, "KEPT_ARCHIVES", KEPT_IN_DEPLOYMENT)
    changes = 60 if pytestconfig.getoption("engines") == "real" else 12
    project_id = alice.create()
    ids, removed = [], 0
    for number in range(changes):
        alice.put(f"/api/projects/{project_id}", {"name": f"Version {number}"})
        ids.append(export(app, alice, project_id))
        clock[0] += timedelta(minutes=5)
        if number % 4 == 3:
            removed += app.invoke("ResumeStalled", {})["resumed"]
    clock[0] += timedelta(minutes=20)
    removed += app.invoke("ResumeStalled", {})["resumed"]
    assert removed == changes - 10
    assert list_ids(alice, project_id) == list_archives(app, project_id) == ids[-10:]
    assert app.find_broken_invariants() == []


def test_scheduled_archives_do_not_count(app: InProcessApp, alice: Client, clock: list[timedelta]) -> None:
    project_id = alice.create()
    app.invoke("ScheduleExports", {})
    app.process_queues()
    (scheduled,) = list_ids(alice, project_id)
    ids = [export(app, alice, project_id) for _ in range(KEPT)]
    clock[0] = timedelta(hours=1)
    app.invoke("ResumeStalled", {})
    assert list_archives(app, project_id) == sorted([scheduled, *ids])


def test_archive_in_use_is_kept(app: InProcessApp, alice: Client, clock: list[timedelta]) -> None:
    """While an export that may copy from an archive is unfinished, or a copy holds the archive, it stays."""
    project_id = alice.create()
    ids = [export(app, alice, project_id) for _ in range(KEPT)]
    unfinished = alice.post(f"/api/projects/{project_id}/exports", {"fresh": True})["export"]["id"]
    held = ExportId(ids[1])
    for export_id in [alice.post(f"/api/projects/{project_id}/exports", {"fresh": True})["export"]["id"] for _ in "ab"]:
        app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
        ids.append(export_id)
    export_store.hold(ProjectId(project_id), held, until=now() + timedelta(hours=2))
    clock[0] = timedelta(hours=1)
    app.invoke("ResumeStalled", {})
    assert set(ids) <= set(list_archives(app, project_id))
    alice.delete(f"/api/projects/{project_id}/exports/{unfinished}")
    clock[0] = timedelta(hours=1, minutes=5)
    app.invoke("ResumeStalled", {})
    assert list_archives(app, project_id) == sorted(ids[1:])
    clock[0] = timedelta(hours=3)
    app.invoke("ResumeStalled", {})
    assert list_archives(app, project_id) == sorted(ids[2:])
    with pytest.raises(ConditionFailedError):
        export_store.hold(ProjectId(project_id), held, until=now() + timedelta(hours=2))
    app.process_queues()


def test_source_of_next_archive_is_kept(app: InProcessApp, alice: Client, clock: list[timedelta]) -> None:
    """An export that finishes late is the source of the next one, although enough newer ones are ready."""
    project_id = alice.create()
    late = str(alice.post(f"/api/projects/{project_id}/exports")["export"]["id"])
    for export_id in [
        alice.post(f"/api/projects/{project_id}/exports", {"fresh": True})["export"]["id"] for _ in "abc"
    ]:
        app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
    app.process_queues()
    clock[0] = timedelta(hours=1)
    app.invoke("ResumeStalled", {})
    assert late in list_archives(app, project_id)
    clock[0] = timedelta(0)
    export(app, alice, project_id)
    clock[0] = timedelta(hours=1)
    app.invoke("ResumeStalled", {})
    assert len(list_archives(app, project_id)) == KEPT
    assert late not in list_archives(app, project_id)


def test_removal_can_be_interrupted(
    app: InProcessApp, alice: Client, clock: list[timedelta], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run stops when its time is over, and the next one continues with the archive that is due for longest."""
    project_id = alice.create()
    ids = [export(app, alice, project_id) for _ in range(KEPT + 2)]
    clock[0] = timedelta(hours=1)
    with monkeypatch.context() as patch:
        patch.setattr("functions_resume_stalled.TIME_RESERVE", 10**9)
        app.invoke("ResumeStalled", {})
    assert list_archives(app, project_id) == ids[1:]
    app.invoke("ResumeStalled", {})
    assert list_archives(app, project_id) == ids[2:]


def test_url_signed_during_retirement(app: InProcessApp, alice: Client, clock: list[timedelta]) -> None:
    """A URL that was signed in the last moment before the retirement is valid until it expires."""
    project_id = alice.create()
    first = export(app, alice, project_id)
    for _ in range(KEPT):
        url_expires_at = alice.get(f"/api/projects/{project_id}/exports/{first}")["export"]["download_url_expires_at"]
        export(app, alice, project_id)
    retired = next(item for item in app.find_items(f"EXPORT#{first}") if item["SK"]["S"] == f"EXPORT#{first}")
    assert int(retired["retired_until"]["N"]) >= datetime.fromisoformat(url_expires_at).timestamp()
