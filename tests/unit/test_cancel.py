"""Cancelling an export: for everybody who joined it, whatever its worker does at that moment."""

import itertools
from datetime import timedelta
from functools import partial

import pytest

from projects_api.domain.exports import export_worker, finalization
from projects_api.entities.clock import now
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.dynamodb.export_lease import ExportLease
from tests.support.api_client import Client
from tests.support.archives import finish_export
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupt_call

pytestmark = pytest.mark.usefixtures("short_export_wait")


@pytest.fixture
def export_id(alice: Client, project_id: str) -> str:
    """Start an export, and return its id."""
    return str(alice.post(f"/api/projects/{project_id}/exports")["export"]["id"])


def cancel_export(alice: Client, path: str, statuses: list[int]) -> None:
    """Cancel an export, and append the status of the response to ``statuses``."""
    statuses.append(alice.delete(path).status)


def find_leftovers(app: InProcessApp, project_id: str, export_id: str) -> list[str]:
    stem = f"{project_id}/{export_id}"
    return app.find_objects(stem) + app.find_uploads(stem)


def test_cancelled_export(app: InProcessApp, alice: Client, bob: Client, project_id: str, export_id: str) -> None:
    """The outcome is published once, everybody sees it, and only a POST starts another export within a minute."""
    receive_events, path = app.listen(), f"/api/projects/{project_id}/exports/{export_id}"
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "viewer"})
    for _ in range(2):
        assert (alice.delete(path).status, alice.delete(path).json) == (200, {"ok": True})
    app.process_queues()
    export = bob.get(path)["export"]
    assert (export["status"], export["error"], export["download_url"]) == ("cancelled", None, None)
    assert export["finished_at"]
    events = [event for event in receive_events() if event["detail-type"].startswith("Project Export")]
    assert [event["detail-type"] for event in events] == ["Project Export Cancelled"]
    assert events[0]["detail"]["export_id"] == export_id
    response = bob.get(f"/api/projects/{project_id}/export", Accept="application/json")
    assert (response.status, response["export"]["id"]) == (409, export_id)
    assert "cancelled" in response["detail"]
    assert alice.get(f"/api/projects/{project_id}/export").status == 409
    assert bob.post(f"/api/projects/{project_id}/exports")["export"]["id"] != export_id
    app.process_queues()
    assert app.find_broken_invariants() == []


def test_finished_export_is_not_cancelled(app: InProcessApp, alice: Client, project_id: str) -> None:
    ready = finish_export(app, alice, project_id)["export"]["id"]
    response = alice.delete(f"/api/projects/{project_id}/exports/{ready}")
    assert response.status == 409
    assert "ready" in response["detail"]
    assert alice.get(f"/api/projects/{project_id}/export").status == 200


def test_cancelled_project_stays_due(app: InProcessApp, alice: Client, project_id: str) -> None:
    app.invoke("ScheduleExports", {})
    (scheduled,) = alice.get(f"/api/projects/{project_id}/exports")["items"]
    assert scheduled["trigger"] == "schedule"
    alice.delete(f"/api/projects/{project_id}/exports/{scheduled['id']}")
    app.process_queues()
    app.invoke("ScheduleExports", {})
    app.process_queues()
    latest = alice.get(f"/api/projects/{project_id}/exports?limit=1")["items"][0]
    assert (latest["trigger"], latest["status"]) == ("schedule", "ready")
    assert latest["id"] != scheduled["id"]
    app.invoke("ScheduleExports", {})
    assert alice.get(f"/api/projects/{project_id}/exports?limit=1")["items"][0]["id"] == latest["id"]


@pytest.mark.exhaustive
@pytest.mark.memory("interrupted between two calls, a function does the same on every engine")
def test_cancelled_while_schedule_runs(app: InProcessApp, alice: Client, project_id: str) -> None:
    """Whenever the export is cancelled, this run of the schedule exports the project, or the next one."""
    for number in itertools.count():
        alice.put(f"/api/projects/{project_id}", {"name": f"Version {number}"})

        def cancel_latest() -> None:
            for export in alice.get(f"/api/projects/{project_id}/exports?limit=1")["items"]:
                alice.delete(f"/api/projects/{project_id}/exports/{export['id']}")

        with interrupt_call(number, cancel_latest) as calls:
            app.invoke("ScheduleExports", {})
        app.process_queues()
        app.invoke("ScheduleExports", {})
        app.process_queues()
        latest = alice.get(f"/api/projects/{project_id}/exports?limit=1")["items"][0]
        assert (latest["trigger"], latest["status"]) == ("schedule", "ready"), f"before call {number}"
        if number >= len(calls):
            break


@pytest.mark.exhaustive
def test_cancelled_before_any_call_of_the_worker(app: InProcessApp, alice: Client, project_id: str) -> None:
    """The export is cancelled or ready, as its response says. A cancelled one leaves nothing in the bucket."""
    statuses = set()
    for number in itertools.count():
        alice.put(f"/api/projects/{project_id}", {"name": f"Version {number}"})
        export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
        path, responses = f"/api/projects/{project_id}/exports/{export_id}", list[int]()
        cancel = partial(cancel_export, alice, path, responses)
        with interrupt_call(number, cancel) as calls:
            app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
        app.process_queues()
        status = alice.get(path)["export"]["status"]
        statuses.add(status)
        if number >= len(calls):
            assert (status, responses) == ("ready", [])
            break
        assert (status, responses) in [("cancelled", [200]), ("ready", [409])], f"before call {number}"
        if status == "cancelled":
            assert find_leftovers(app, project_id, export_id) == [], f"before call {number}"
        (item,) = (item for item in app.find_items(f"EXPORT#{export_id}") if item["SK"]["S"] == f"EXPORT#{export_id}")
        assert "pending_work" not in item, f"before call {number}"
    assert statuses == {"cancelled", "ready"}


def test_killed_worker_of_cancelled_export(
    app: InProcessApp, alice: Client, project_id: str, export_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cleanup waits until the lease is over, because the worker may still write. The recovery job sees to it."""
    path, receive_events = f"/api/projects/{project_id}/exports/{export_id}", app.listen()
    ExportLease(ProjectId(project_id), ExportId(export_id), "killed").acquire(now() + export_worker.LEASE)
    alice.delete(path)
    app.s3.put_object(Bucket=app.stack.exports, Key=f"{project_id}/{export_id}.zip", Body=b"late")
    app.s3.create_multipart_upload(Bucket=app.stack.exports, Key=f"{project_id}/{export_id}/part")
    assert receive_events() == []
    later = now() + export_worker.LEASE + timedelta(seconds=31)
    monkeypatch.setattr(finalization, "now", lambda: later)
    assert app.resume_stalled(after=later - now())["resumed"] == 1
    app.process_queues()
    assert alice.get(path)["export"]["status"] == "cancelled"
    assert find_leftovers(app, project_id, export_id) == []
    assert [event["detail-type"] for event in receive_events()] == ["Project Export Cancelled"]
