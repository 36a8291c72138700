"""When an export is made, joined, made anew and forgotten, and who is told."""

import json
import uuid
from datetime import timedelta

import pytest

from projects_api.domain.exports import recovery
from projects_api.entities.clock import now
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import clients
from projects_api.storage.dynamodb.export_store import Lease
from tests.support.api_client import Client
from tests.support.archives import downloaded, finished, scheduled, unpacked
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupted, throttle

pytestmark = pytest.mark.usefixtures("impatient")


def test_an_unchanged_project_is_not_exported_again_and_a_changed_one_is(
    app: InProcessApp, alice: Client, project_id: str
) -> None:
    first = finished(app, alice, project_id)["export"]
    assert finished(app, alice, project_id)["export"]["id"] == first["id"]
    posted = alice.post(f"/api/projects/{project_id}/exports")
    assert (posted.status, posted["export"]["id"]) == (202, first["id"])
    alice.put(f"/api/projects/{project_id}", {"name": "Changed"})
    second = finished(app, alice, project_id)["export"]
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


def test_what_is_ready_is_not_sent_to_a_worker_again(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finished(app, alice, project_id)["export"]
    sent: list[object] = []
    monkeypatch.setattr("projects_api.storage.sqs.send_export", lambda *ids: sent.append(ids))
    monkeypatch.setattr(recovery, "now", lambda: now() + timedelta(hours=1))
    assert alice.post(f"/api/projects/{project_id}/exports")["export"]["id"] == first["id"]
    assert alice.get(f"/api/projects/{project_id}/export").status == 200
    assert sent == []


def test_an_export_says_the_same_of_itself_when_it_is_started_and_when_it_is_read(alice: Client) -> None:
    path = f"/api/projects/{alice.create('Churn')}/exports"
    started = alice.post(path)["export"]
    assert alice.get(f"{path}/{started['id']}")["export"] == started
    assert alice.get(path)["items"] == [started]


def test_asked_for_twice_at_once_it_is_made_once(
    app: InProcessApp, alice: Client, bob: Client, project_id: str
) -> None:
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
    ids = {client.post(f"/api/projects/{project_id}/exports")["export"]["id"] for client in (alice, bob, alice)}
    assert len(ids) == 1


def test_the_schedule_exports_what_changed_once(app: InProcessApp, alice: Client, project_id: str) -> None:
    first = scheduled(app, alice, project_id)
    app.invoke("ScheduleExports", {})
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/exports")["items"][0]["id"] == first
    alice.put(f"/api/projects/{project_id}", {"name": "Changed"})
    assert scheduled(app, alice, project_id) != first


def test_a_scheduled_export_that_failed_is_made_by_the_next_schedule(
    app: InProcessApp, alice: Client, project_id: str
) -> None:
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": f"projects/{project_id}/late"}}
    app.announce("Model Created", project_id, resource)
    app.process_queues()
    app.invoke("ScheduleExports", {})
    app.process_queues()
    failed = alice.get(f"/api/projects/{project_id}/exports")["items"][0]
    assert (failed["trigger"], failed["status"]) == ("schedule", "failed")
    app.store(project_id, "late", b"here it is")
    assert scheduled(app, alice, project_id) != failed["id"]


def test_an_export_that_fails_while_the_schedule_takes_its_project_off_is_made_by_the_next(
    app: InProcessApp, alice: Client, project_id: str
) -> None:
    """Before each of its calls; whether the schedule has begun the export or joined a requested one."""
    for requested in (False, True):
        calls = number = 1
        while number <= calls:
            late = f"{requested}-{number}"
            artifact = {"key": f"projects/{project_id}/{late}"}
            app.announce("Model Created", project_id, {"id": str(uuid.uuid4()), "name": late, "artifact": artifact})
            app.process_queues()
            if requested:
                alice.post(f"/api/projects/{project_id}/exports")
            with interrupted(number - 1, app.process_queues) as made:
                app.invoke("ScheduleExports", {})
            app.process_queues()
            calls, number = len(made), number + 1
            failed = alice.get(f"/api/projects/{project_id}/exports")["items"][0]
            assert failed["status"] == "failed"
            app.store(project_id, late, b"here it is")
            assert scheduled(app, alice, project_id) != failed["id"]


def test_the_bus_is_told_once_how_an_export_ended_and_never_its_url(
    app: InProcessApp, alice: Client, project_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = app.listen()
    ready = finished(app, alice, project_id)["export"]
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": f"projects/{project_id}/missing"}}
    app.announce("Model Created", project_id, resource)
    app.process_queues()
    alice.post(f"/api/projects/{project_id}/exports")
    app.process_queues()
    events = [event for event in heard() if event["detail"].get("project_id") == project_id]
    told = [event for event in events if event["source"] == "mlplatform.projects"]
    assert [event["detail-type"] for event in told] == ["Project Export Ready", "Project Export Failed"]
    assert told[0]["detail"]["export_id"] == ready["id"]
    assert told[0]["detail"]["size_bytes"] == ready["size_bytes"]
    assert "missing" in told[1]["detail"]["error"]
    assert "X-Amz-Signature" not in json.dumps(told)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    for metric in ("ExportsReady", "ExportsFailed"):
        assert sum(line[metric][0] for line in lines if metric in line) == 1


@pytest.mark.parametrize("asks", ["posts", "gets", "gets JSON"])
def test_an_archive_that_is_lost_is_made_anew(app: InProcessApp, alice: Client, asks: str) -> None:
    project_id = alice.create()
    first = finished(app, alice, project_id)["export"]["id"]
    for key in app.objects(project_id):
        app.s3.delete_object(Bucket=app.stack.exports, Key=key)
    if asks == "posts":
        started = alice.post(f"/api/projects/{project_id}/exports")
    else:
        started = alice.get(
            f"/api/projects/{project_id}/export", Accept="application/json" if "JSON" in asks else "*/*"
        )
    assert started.status == (307 if asks == "gets" else 202)
    second = finished(app, alice, project_id)["export"]
    assert second["id"] != first
    unpacked(downloaded(second["download_url"]))


def test_an_archive_that_is_purged_right_before_it_is_answered_is_not_found(
    app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = alice.create()
    finished(app, alice, project_id)
    monkeypatch.setattr("projects_api.storage.s3.archive_store.read", lambda _: None)
    assert alice.get(f"/api/projects/{project_id}/export").status == 404


def test_an_expired_export_is_gone_and_made_anew(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finished(app, alice, project_id)["export"]
    later = now() + timedelta(days=8)
    monkeypatch.setattr("projects_api.storage.dynamodb.export_store.now", lambda: later)
    assert alice.get(f"/api/projects/{project_id}/exports/{first['id']}").status == 404
    assert alice.get(f"/api/projects/{project_id}/exports")["items"] == []


def test_expired_exports_hide_none_behind_them(app: InProcessApp, alice: Client, project_id: str) -> None:
    kept = finished(app, alice, project_id)["export"]["id"]
    for name in ("b", "c", "d"):  # newer, and yet to expire first: as failed ones do that ended before
        alice.put(f"/api/projects/{project_id}", {"name": name})
        expired = finished(app, alice, project_id)["export"]["id"]
        app.dynamodb.update_item(
            TableName=app.stack.table,
            Key={"PK": {"S": f"PROJECT#{project_id}"}, "SK": {"S": f"EXPORT#{expired}"}},
            UpdateExpression="SET expires_at = :past",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )
    page = alice.get(f"/api/projects/{project_id}/exports?limit=1")
    assert [export["id"] for export in page["items"]] == [kept]
    assert page["next_cursor"] is None


def test_a_message_that_was_lost_is_sent_again(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.sqs.send_export", lambda *_: None)
        lost = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/exports/{lost}")["export"]["status"] == "pending"
    assert app.invoke("ResumeStalled", {})["resumed"] == 0
    assert app.resume_stalled()["resumed"] == 1
    assert app.resume_stalled()["resumed"] == 0
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/exports/{lost}")["export"]["status"] == "ready"


def test_an_export_that_waits_for_a_busy_worker_is_not_sent_for_again(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    sent: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.sqs.send_export", lambda _, export_id: sent.append(export_id))
        for minutes in range(1, 13):  # as the scheduler calls, and somebody who asks again and again
            patch.setattr(recovery, "now", lambda minutes=minutes: now() + timedelta(minutes=minutes))
            app.invoke("ResumeStalled", {})
            assert alice.post(f"/api/projects/{project_id}/exports")["export"]["id"] == waiting
    assert sent == [waiting, waiting]
    app.process_queues()


def test_an_export_whose_worker_died_is_sent_for_again_when_its_lease_has_ended(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    lease = Lease(ProjectId(project_id), ExportId(export_id), "who dies")
    lease.take(now() + timedelta(seconds=30))
    assert app.invoke("ResumeStalled", {})["resumed"] == 0
    monkeypatch.setattr(recovery, "now", lambda: now() + timedelta(seconds=31))
    assert app.invoke("ResumeStalled", {})["resumed"] == 1
    monkeypatch.undo()


@pytest.mark.parametrize("asks", ["posts", "gets"])
def test_an_export_that_was_started_is_told_of_though_its_message_could_not_be_sent(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(clients.sqs(), "send_message", throttle)
        if asks == "posts":
            started = alice.post(f"/api/projects/{project_id}/exports")
        else:
            started = alice.get(f"/api/projects/{project_id}/export", Accept="application/json")
    assert (started.status, started["export"]["status"]) == (202, "pending")
    app.process_queues()
    app.resume_stalled()
    app.process_queues()
    assert alice.get(started.headers["Location"])["export"]["status"] == "ready"


def test_a_purge_that_can_not_be_sent_for_keeps_no_export_from_it(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted = alice.create()
    alice.delete(f"/api/projects/{deleted}")
    alice.post(f"/api/projects/{project_id}/exports")
    sent: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.sqs.send_purge", fail)
        patch.setattr("projects_api.storage.sqs.send_export", lambda *ids: sent.append(ids))
        with pytest.raises(StorageUnavailableError):
            app.resume_stalled()
    assert sent


def fail(*_: object, **__: object) -> None:
    raise StorageUnavailableError
