"""Exports: when a request starts one, joins one or reuses one, and how exports end."""

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta

import pytest

from projects_api.domain.exports import export_recovery
from projects_api.entities.clock import now
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import clients
from projects_api.storage.dynamodb import keys
from projects_api.storage.dynamodb.export_lease import ExportLease
from tests.support.api_client import Client
from tests.support.archives import download, finish_export, run_scheduled_export, unpack_archive
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupt_call, throttle

pytestmark = pytest.mark.usefixtures("short_export_wait")


def test_export_of_unchanged_project_is_reused(app: InProcessApp, alice: Client, project_id: str) -> None:
    first = finish_export(app, alice, project_id)["export"]
    assert finish_export(app, alice, project_id)["export"]["id"] == first["id"]
    posted = alice.post(f"/api/projects/{project_id}/exports")
    assert (posted.status, posted["export"]["id"]) == (202, first["id"])
    alice.put(f"/api/projects/{project_id}", {"name": "Changed"})
    second = finish_export(app, alice, project_id)["export"]
    assert second["id"] != first["id"]
    listed = alice.get(f"/api/projects/{project_id}/exports")
    assert [export["id"] for export in listed["items"]] == [second["id"], first["id"]]
    assert listed["next_cursor"] is None
    page = alice.get(f"/api/projects/{project_id}/exports?limit=1")
    assert [export["id"] for export in page["items"]] == [second["id"]]
    rest = alice.get(f"/api/projects/{project_id}/exports?limit=1&cursor={page['next_cursor']}")
    assert [export["id"] for export in rest["items"]] == [first["id"]]
    assert rest["next_cursor"] is None
    assert alice.get(f"/api/projects/{project_id}/exports?cursor=x").status == 422
    assert alice.get(f"/api/projects/{project_id}/exports/{uuid.uuid4()}").status == 404


def test_ready_export_is_not_queued_again(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finish_export(app, alice, project_id)["export"]
    sent: list[object] = []
    monkeypatch.setattr("projects_api.storage.sqs.send_exports", sent.append)
    monkeypatch.setattr(export_recovery, "now", lambda: now() + timedelta(hours=1))
    assert alice.post(f"/api/projects/{project_id}/exports")["export"]["id"] == first["id"]
    assert alice.get(f"/api/projects/{project_id}/export").status == 200
    assert sent == []


def test_export_representations_are_equal(alice: Client) -> None:
    path = f"/api/projects/{alice.create('Churn')}/exports"
    started = alice.post(path)["export"]
    assert alice.get(f"{path}/{started['id']}")["export"] == started
    assert alice.get(path)["items"] == [started]


def test_requests_share_pending_export(app: InProcessApp, alice: Client, bob: Client, project_id: str) -> None:
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
    ids = {client.post(f"/api/projects/{project_id}/exports")["export"]["id"] for client in (alice, bob, alice)}
    assert len(ids) == 1


def test_schedule_exports_changed_projects(app: InProcessApp, alice: Client, project_id: str) -> None:
    first = run_scheduled_export(app, alice, project_id)
    app.invoke("ScheduleExports", {})
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/exports")["items"][0]["id"] == first
    alice.put(f"/api/projects/{project_id}", {"name": "Changed"})
    assert run_scheduled_export(app, alice, project_id) != first


def test_schedule_repeats_failed_export(app: InProcessApp, alice: Client, project_id: str) -> None:
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": f"projects/{project_id}/late"}}
    app.publish_event("Model Created", project_id, resource)
    app.process_queues()
    app.invoke("ScheduleExports", {})
    app.process_queues()
    failed = alice.get(f"/api/projects/{project_id}/exports")["items"][0]
    assert (failed["trigger"], failed["status"]) == ("schedule", "failed")
    app.store_artifact(project_id, "late", b"here it is")
    assert run_scheduled_export(app, alice, project_id) != failed["id"]


@pytest.mark.exhaustive
@pytest.mark.memory("interrupted between two calls, a function does the same on every engine")
def test_export_fails_while_schedule_runs(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run of the schedule exports the project again.

    The export fails before each call of the schedule in turn, both if the schedule started it and if a request did.
    """
    monkeypatch.setattr(keys, "PENDING_WORK_SHARDS", 1)  # queries of shards without the project add nothing
    resource_id = str(uuid.uuid4())  # a new resource each time would make every export slower than the one before
    for is_requested in (False, True):
        call_count = number = 1
        while number <= call_count:
            name = f"{is_requested}-{number}"
            artifact = {"key": f"projects/{project_id}/{name}"}
            resource = {"id": resource_id, "name": name, "artifact": artifact}
            assert app.deliver([app.build_event("Model Created", project_id, resource)]) == []
            if is_requested:
                alice.post(f"/api/projects/{project_id}/exports")
            with interrupt_call(number - 1, app.process_queues) as calls:
                app.invoke("ScheduleExports", {})
            app.process_queues()
            call_count, number = len(calls), number + 1
            failed = alice.get(f"/api/projects/{project_id}/exports?limit=1")["items"][0]
            assert failed["status"] == "failed"
            app.store_artifact(project_id, name, b"here it is")
            assert run_scheduled_export(app, alice, project_id) != failed["id"]


def test_bus_events_and_metrics(
    app: InProcessApp, alice: Client, project_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each export ends with one event, without the URL of its archive, and is counted once."""
    receive_events = app.listen()
    ready = finish_export(app, alice, project_id)["export"]
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": f"projects/{project_id}/missing"}}
    app.publish_event("Model Created", project_id, resource)
    app.process_queues()
    alice.post(f"/api/projects/{project_id}/exports")
    app.process_queues()
    events = [event for event in receive_events() if event["detail"].get("project_id") == project_id]
    own_events = [event for event in events if event["source"] == "mlplatform.projects"]
    assert [event["detail-type"] for event in own_events] == ["Project Export Ready", "Project Export Failed"]
    assert own_events[0]["detail"]["export_id"] == ready["id"]
    assert own_events[0]["detail"]["size_bytes"] == ready["size_bytes"]
    assert "missing" in own_events[1]["detail"]["error"]
    assert "X-Amz-Signature" not in json.dumps(own_events)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    for metric in ("ExportsReady", "ExportsFailed"):
        assert sum(line[metric][0] for line in lines if metric in line) == 1


@pytest.mark.parametrize("request_type", ["post", "get", "get JSON"])
def test_lost_archive_is_exported_again(app: InProcessApp, alice: Client, request_type: str) -> None:
    project_id = alice.create()
    first = finish_export(app, alice, project_id)["export"]["id"]
    for key in app.find_objects(project_id):
        app.s3.delete_object(Bucket=app.stack.exports, Key=key)
    if request_type == "post":
        started = alice.post(f"/api/projects/{project_id}/exports")
    else:
        started = alice.get(
            f"/api/projects/{project_id}/export", Accept="application/json" if "JSON" in request_type else "*/*"
        )
    assert started.status == (307 if request_type == "get" else 202)
    second = finish_export(app, alice, project_id)["export"]
    assert second["id"] != first
    unpack_archive(download(second["download_url"]))


def test_archive_purged_during_request(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    project_id = alice.create()
    finish_export(app, alice, project_id)
    monkeypatch.setattr("projects_api.storage.s3.archive_store.read", lambda _: None)
    assert alice.get(f"/api/projects/{project_id}/export").status == 404


def test_expired_export_is_not_found(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finish_export(app, alice, project_id)["export"]
    later = now() + timedelta(days=8)
    monkeypatch.setattr("projects_api.storage.dynamodb.export_store.now", lambda: later)
    assert alice.get(f"/api/projects/{project_id}/exports/{first['id']}").status == 404
    assert alice.get(f"/api/projects/{project_id}/exports")["items"] == []


def test_page_skips_expired_exports(app: InProcessApp, alice: Client, project_id: str) -> None:
    """A page that would consist of expired exports has the next valid export instead."""
    kept = finish_export(app, alice, project_id)["export"]["id"]
    for name in ("b", "c", "d"):  # newer exports expire first if they failed early
        alice.put(f"/api/projects/{project_id}", {"name": name})
        expired = finish_export(app, alice, project_id)["export"]["id"]
        app.dynamodb.update_item(
            TableName=app.stack.table,
            Key={"PK": {"S": f"PROJECT#{project_id}"}, "SK": {"S": f"EXPORT#{expired}"}},
            UpdateExpression="SET expires_at = :past",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )
    page = alice.get(f"/api/projects/{project_id}/exports?limit=1")
    assert [export["id"] for export in page["items"]] == [kept]
    assert page["next_cursor"] is None


def test_lost_message_is_sent_again(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.sqs.send_exports", accept_and_lose)
        lost = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/exports/{lost}")["export"]["status"] == "pending"
    assert app.invoke("ResumeStalled", {})["resumed"] == 0
    assert app.resume_stalled()["resumed"] == 1
    assert app.resume_stalled()["resumed"] == 0
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/exports/{lost}")["export"]["status"] == "ready"


@pytest.mark.exhaustive
@pytest.mark.memory("about queues, which are always in memory")
def test_waiting_export_is_queued_rarely(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that waits for a busy worker is queued again only after hours."""
    waiting = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    sent: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.sqs.send_exports", lambda exports: accept_and_lose(exports, sent))
        for minutes in range(30, 13 * 60, 30):  # the scheduler and a user call
            app.resume_stalled(after=timedelta(minutes=minutes))
            patch.setattr(export_recovery, "now", lambda minutes=minutes: now() + timedelta(minutes=minutes))
            assert alice.post(f"/api/projects/{project_id}/exports")["export"]["id"] == waiting
    assert sent == [waiting, waiting]
    app.process_queues()


def test_export_is_queued_again_when_lease_expires(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    lease = ExportLease(ProjectId(project_id), ExportId(export_id), "crashed worker")
    lease.acquire(now() + timedelta(seconds=30))
    assert app.invoke("ResumeStalled", {})["resumed"] == 0
    assert app.resume_stalled(after=timedelta(seconds=31))["resumed"] == 1


@pytest.mark.parametrize("request_type", ["post", "get"])
def test_message_cannot_be_sent(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch, request_type: str
) -> None:
    """The request succeeds, and the recovery job sends the message later."""
    with monkeypatch.context() as patch:
        patch.setattr(clients.sqs(), "send_message", throttle)
        if request_type == "post":
            started = alice.post(f"/api/projects/{project_id}/exports")
        else:
            started = alice.get(f"/api/projects/{project_id}/export", Accept="application/json")
    assert (started.status, started["export"]["status"]) == (202, "pending")
    app.process_queues()
    app.resume_stalled()
    app.process_queues()
    assert alice.get(started.headers["Location"])["export"]["status"] == "ready"


def test_failed_purge_message_does_not_block_exports(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted_project_id = alice.create()
    alice.delete(f"/api/projects/{deleted_project_id}")
    alice.post(f"/api/projects/{project_id}/exports")
    sent: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.sqs.send_purges", raise_unavailable)
        patch.setattr("projects_api.storage.sqs.send_exports", lambda exports: accept_and_lose(exports, sent))
        with pytest.raises(StorageUnavailableError):
            app.resume_stalled()
    assert sent


def accept_and_lose(exports: Sequence[tuple[str, str]], sent: list[str] | None = None) -> list[bool]:
    """Accept messages to send, but lose them, and append the ids of the exports to ``sent``."""
    if sent is not None:
        sent += [export_id for _, export_id in exports]
    return [True for _ in exports]


def raise_unavailable(*_: object, **__: object) -> None:
    raise StorageUnavailableError
