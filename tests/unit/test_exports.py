"""Exports, from the request to the unpacked archive."""

import io
import json
import uuid
import zipfile
import zlib
from datetime import timedelta
from typing import Any
from urllib.request import urlopen

import boto3
import pytest

from projects_api.domain import exports
from projects_api.model.clock import now
from projects_api.model.ids import ExportId, ProjectId
from projects_api.storage import clients
from projects_api.storage.exports import Lease
from tests.clients import Answer, Client
from tests.interruptions import throttle
from tests.world import World

MIB = 1 << 20


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """In process nobody assembles while a request waits."""
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


def unpacked(body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest of an archive and its files, each verified against it."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        files = {file["path"]: archive.read(file["path"]) for file in manifest["files"]}
        assert archive.namelist() == ["manifest.json", *files]
    for file in manifest["files"]:
        assert len(files[file["path"]]) == file["size"]
        assert zlib.crc32(files[file["path"]]) == int(file["crc32"], 16)
        assert file["content_type"] == "application/octet-stream"
    return manifest, files


def downloaded(url: str) -> bytes:
    """What a signed URL answers; moto has no server in this process to ask."""
    if url.startswith("http://127.0.0.1"):
        with urlopen(url, timeout=30) as answer:
            return bytes(answer.read())
    bucket, _, key = url.split("?", maxsplit=1)[0].removeprefix("https://").partition("/")
    return boto3.client("s3").get_object(Bucket=bucket.partition(".")[0], Key=key)["Body"].read()


def finished(world: World, client: Client, project_id: str) -> Answer:
    client.get(f"/api/projects/{project_id}/export", Accept="application/json")
    world.work_off()
    return client.get(f"/api/projects/{project_id}/export", Accept="application/json")


def test_an_archive_holds_the_project_its_members_its_resources_and_every_file(
    world: World, alice: Client, bob: Client, project_id: str
) -> None:
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "viewer"})
    started = alice.get(f"/api/projects/{project_id}/export", Accept="application/json")
    assert started.status == 202
    assert int(started.headers["Retry-After"]) > 0
    export = started["export"]
    assert (export["status"], export["trigger"], export["download_url"]) == ("pending", "request", None)
    poll = started.headers["Location"]
    assert poll == f"/api/projects/{project_id}/exports/{export['id']}"
    assert alice.get(poll)["export"]["id"] == export["id"]
    world.work_off()
    ready = alice.get(poll)["export"]
    assert ready["status"] == "ready"
    assert ready["error"] is None
    size = ready["size_bytes"]
    assert ready["progress"] == {"bytes_done": size, "bytes_total": size, "files_done": 3, "files_total": 3}
    body = downloaded(ready["download_url"])
    assert len(body) == size
    manifest, files = unpacked(body)
    assert manifest["project"]["name"] == "Größe: 1/2"
    assert [member["email"] for member in manifest["members"]] == [alice.email, bob.email]
    assert [resource["type"] for resource in manifest["resources"]] == ["dataset", "model", "report", "experiment"]
    assert manifest["resources"][0]["note"] == {"deep": [1, 2.5, None]}
    assert manifest["resources"][3]["duration"] == 3
    assert sorted(len(data) for data in files.values()) == [0, 4000, 25_600]


def test_a_plain_get_waits_then_redirects_and_answers_a_small_archive_itself(
    world: World, alice: Client, project_id: str
) -> None:
    path = f"/api/projects/{project_id}/export"
    waited = alice.get(path)
    assert (waited.status, waited.headers["Location"]) == (307, path)
    world.work_off()
    answer = alice.get(path, Accept="*/*")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe_%201_2.zip" in answer.headers["Content-Disposition"]
    unpacked(answer.body)


def test_a_large_archive_is_a_redirect_to_its_signed_url(world: World, alice: Client) -> None:
    project_id = alice.create("Large")
    body = bytes(range(256)) * 4096 * 12
    artifact = world.store(project_id, "models/m.bin", body)
    world.announce("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    world.work_off()
    finished(world, alice, project_id)
    answer = alice.get(f"/api/projects/{project_id}/export")
    assert answer.status == 302
    _, files = unpacked(downloaded(answer.headers["Location"]))
    assert files == {"models/m.bin": body}


def test_an_unchanged_project_is_not_exported_again_and_a_changed_one_is(
    world: World, alice: Client, project_id: str
) -> None:
    first = finished(world, alice, project_id)["export"]
    assert finished(world, alice, project_id)["export"]["id"] == first["id"]
    posted = alice.post(f"/api/projects/{project_id}/exports")
    assert (posted.status, posted["export"]["id"]) == (202, first["id"])
    alice.put(f"/api/projects/{project_id}", {"name": "Changed"})
    second = finished(world, alice, project_id)["export"]
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
    world: World, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finished(world, alice, project_id)["export"]
    sent: list[object] = []
    monkeypatch.setattr("projects_api.storage.queues.send_export", lambda *ids: sent.append(ids))
    monkeypatch.setattr(exports, "now", lambda: now() + timedelta(hours=1))
    assert alice.post(f"/api/projects/{project_id}/exports")["export"]["id"] == first["id"]
    assert alice.get(f"/api/projects/{project_id}/export").status == 200
    assert sent == []


def test_an_export_says_the_same_of_itself_when_it_is_started_and_when_it_is_read(alice: Client) -> None:
    path = f"/api/projects/{alice.create('Churn')}/exports"
    started = alice.post(path)["export"]
    assert alice.get(f"{path}/{started['id']}")["export"] == started
    assert alice.get(path)["items"] == [started]


def test_asked_for_twice_at_once_it_is_made_once(world: World, alice: Client, bob: Client, project_id: str) -> None:
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
    ids = {client.post(f"/api/projects/{project_id}/exports")["export"]["id"] for client in (alice, bob, alice)}
    assert len(ids) == 1


def test_the_same_content_gives_the_same_bytes(world: World, alice: Client, project_id: str) -> None:
    first = downloaded(finished(world, alice, project_id)["export"]["download_url"])
    name = alice.get(f"/api/projects/{project_id}")["project"]["name"]
    for one in ("Other", name):
        alice.put(f"/api/projects/{project_id}", {"name": one})
    second = downloaded(finished(world, alice, project_id)["export"]["download_url"])
    manifests = [unpacked(body)[0] for body in (first, second)]
    for manifest in manifests:
        del manifest["project"]["updated_at"]
    assert manifests[0] == manifests[1]
    third_id = world_export(world, alice, project_id)
    assert downloaded(alice.get(f"/api/projects/{project_id}/exports/{third_id}")["export"]["download_url"]) == second


def world_export(world: World, alice: Client, project_id: str) -> str:
    """An export that the schedule makes of a project that has been exported as it is."""
    assert world.invoke("ScheduleExports", {})["started"] >= 1
    world.work_off()
    newest = alice.get(f"/api/projects/{project_id}/exports?limit=1")["items"][0]
    assert (newest["trigger"], newest["status"]) == ("schedule", "ready")
    return str(newest["id"])


def test_the_schedule_exports_what_changed_once(world: World, alice: Client, project_id: str) -> None:
    first = world_export(world, alice, project_id)
    world.invoke("ScheduleExports", {})
    world.work_off()
    assert alice.get(f"/api/projects/{project_id}/exports")["items"][0]["id"] == first
    alice.put(f"/api/projects/{project_id}", {"name": "Changed"})
    assert world_export(world, alice, project_id) != first


def test_a_scheduled_export_that_failed_is_made_by_the_next_schedule(
    world: World, alice: Client, project_id: str
) -> None:
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": f"projects/{project_id}/late"}}
    world.announce("Model Created", project_id, resource)
    world.work_off()
    world.invoke("ScheduleExports", {})
    world.work_off()
    failed = alice.get(f"/api/projects/{project_id}/exports")["items"][0]
    assert (failed["trigger"], failed["status"]) == ("schedule", "failed")
    world.store(project_id, "late", b"here it is")
    assert world_export(world, alice, project_id) != failed["id"]


def test_a_field_that_is_called_as_one_of_the_manifest_is_not_lost(world: World, alice: Client) -> None:
    project_id = alice.create()
    own = {"type": "canary", "path": "/v1/predict", "timestamp": "noon", "fields": [1], "replicas": 2}
    world.announce("Deployment Created", project_id, {"id": str(uuid.uuid4()), "name": "d"} | own)
    world.work_off()
    manifest, _ = unpacked(downloaded(finished(world, alice, project_id)["export"]["download_url"]))
    (row,) = manifest["resources"]
    assert (row["type"], row["path"], row["replicas"]) == ("deployment", None, 2)
    assert row["fields"] == {name: own[name] for name in ("type", "path", "timestamp", "fields")}


def test_an_export_whose_artifact_is_missing_fails_with_its_name_and_can_be_repeated(
    world: World, alice: Client, project_id: str
) -> None:
    key = f"projects/{project_id}/models/missing.bin"
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": key}}
    world.announce("Model Created", project_id, resource)
    world.work_off()
    alice.get(f"/api/projects/{project_id}/export")
    world.work_off()
    failed = alice.get(f"/api/projects/{project_id}/exports")["items"][0]
    assert failed["status"] == "failed"
    assert key in failed["error"]
    assert boto3.client("s3").list_multipart_uploads(Bucket=world.stack.exports).get("Uploads") is None
    world.store(project_id, "models/missing.bin", b"found")
    ready = finished(world, alice, project_id)["export"]
    assert ready["status"] == "ready"
    assert len(unpacked(downloaded(ready["download_url"]))[1]) == 4


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "CRC32C"])
def test_an_artifact_without_a_crc32_is_exported_all_the_same(world: World, alice: Client, algorithm: str) -> None:
    project_id = alice.create()
    artifact = world.store(project_id, "f", b"content", ChecksumAlgorithm=algorithm)
    world.announce("Report Created", project_id, {"id": str(uuid.uuid4()), "name": "f", "artifact": artifact})
    world.work_off()
    _, files = unpacked(downloaded(finished(world, alice, project_id)["export"]["download_url"]))
    assert files == {"f": b"content"}


def test_the_bus_is_told_once_how_an_export_ended_and_never_its_url(
    world: World, alice: Client, project_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = world.listen()
    ready = finished(world, alice, project_id)["export"]
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": f"projects/{project_id}/missing"}}
    world.announce("Model Created", project_id, resource)
    world.work_off()
    alice.post(f"/api/projects/{project_id}/exports")
    world.work_off()
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


def test_an_empty_project_has_an_archive(world: World, alice: Client) -> None:
    project_id = alice.create()
    manifest, files = unpacked(downloaded(finished(world, alice, project_id)["export"]["download_url"]))
    assert (manifest["resources"], files) == ([], {})


@pytest.mark.parametrize("asks", ["posts", "gets", "gets JSON"])
def test_an_archive_that_is_lost_is_made_anew(world: World, alice: Client, asks: str) -> None:
    project_id = alice.create()
    first = finished(world, alice, project_id)["export"]["id"]
    for key in world.objects(project_id):
        world.s3.delete_object(Bucket=world.stack.exports, Key=key)
    if asks == "posts":
        started = alice.post(f"/api/projects/{project_id}/exports")
    else:
        started = alice.get(
            f"/api/projects/{project_id}/export", Accept="application/json" if "JSON" in asks else "*/*"
        )
    assert started.status == (307 if asks == "gets" else 202)
    second = finished(world, alice, project_id)["export"]
    assert second["id"] != first
    unpacked(downloaded(second["download_url"]))


def test_an_archive_that_is_purged_right_before_it_is_answered_is_not_found(
    world: World, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = alice.create()
    finished(world, alice, project_id)
    monkeypatch.setattr("projects_api.storage.archives.read", lambda _: None)
    assert alice.get(f"/api/projects/{project_id}/export").status == 404


def test_an_expired_export_is_gone_and_made_anew(
    world: World, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = finished(world, alice, project_id)["export"]
    later = now() + timedelta(days=8)
    monkeypatch.setattr("projects_api.storage.exports.now", lambda: later)
    assert alice.get(f"/api/projects/{project_id}/exports/{first['id']}").status == 404
    assert alice.get(f"/api/projects/{project_id}/exports")["items"] == []


def test_expired_exports_hide_none_behind_them(world: World, alice: Client, project_id: str) -> None:
    kept = finished(world, alice, project_id)["export"]["id"]
    for name in ("b", "c", "d"):  # newer, and yet to expire first: as failed ones do that ended before
        alice.put(f"/api/projects/{project_id}", {"name": name})
        expired = finished(world, alice, project_id)["export"]["id"]
        world.dynamodb.update_item(
            TableName=world.stack.table,
            Key={"PK": {"S": f"PROJECT#{project_id}"}, "SK": {"S": f"EXPORT#{expired}"}},
            UpdateExpression="SET expires_at = :past",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )
    page = alice.get(f"/api/projects/{project_id}/exports?limit=1")
    assert [export["id"] for export in page["items"]] == [kept]
    assert page["next_cursor"] is None


def test_a_message_that_was_lost_is_sent_again(
    world: World, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.queues.send_export", lambda *_: None)
        lost = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    world.work_off()
    assert alice.get(f"/api/projects/{project_id}/exports/{lost}")["export"]["status"] == "pending"
    assert world.invoke("ResumeStalled", {})["resumed"] == 0
    assert world.resume_stalled()["resumed"] == 1
    assert world.resume_stalled()["resumed"] == 0
    world.work_off()
    assert alice.get(f"/api/projects/{project_id}/exports/{lost}")["export"]["status"] == "ready"


def test_an_export_that_waits_for_a_busy_worker_is_not_sent_for_again(
    world: World, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    sent: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.queues.send_export", lambda _, export_id: sent.append(export_id))
        for minutes in range(1, 13):  # as the scheduler calls, and somebody who asks again and again
            patch.setattr(exports, "now", lambda minutes=minutes: now() + timedelta(minutes=minutes))
            world.invoke("ResumeStalled", {})
            assert alice.post(f"/api/projects/{project_id}/exports")["export"]["id"] == waiting
    assert sent == [waiting, waiting]
    world.work_off()


def test_an_export_whose_worker_died_is_sent_for_again_when_its_lease_has_ended(
    world: World, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    lease = Lease(ProjectId(project_id), ExportId(export_id), "who dies")
    lease.take(now() + timedelta(seconds=30))
    assert world.invoke("ResumeStalled", {})["resumed"] == 0
    monkeypatch.setattr(exports, "now", lambda: now() + timedelta(seconds=31))
    assert world.invoke("ResumeStalled", {})["resumed"] == 1
    monkeypatch.undo()


@pytest.mark.parametrize("asks", ["posts", "gets"])
def test_an_export_that_was_started_is_told_of_though_its_message_could_not_be_sent(
    world: World, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(clients.sqs(), "send_message", throttle)
        if asks == "posts":
            started = alice.post(f"/api/projects/{project_id}/exports")
        else:
            started = alice.get(f"/api/projects/{project_id}/export", Accept="application/json")
    assert (started.status, started["export"]["status"]) == (202, "pending")
    world.work_off()
    world.resume_stalled()
    world.work_off()
    assert alice.get(started.headers["Location"])["export"]["status"] == "ready"
