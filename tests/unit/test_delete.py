"""Deleting: gone for everybody at once, and then to the last item and object."""

import uuid
from datetime import timedelta

import pytest
from botocore.stub import Stubber

from projects_api.domain.purge import PurgeIncompleteError, purge_project
from projects_api.entities.clock import now
from projects_api.entities.ids import ProjectId
from projects_api.storage import clients
from projects_api.storage.s3 import bucket_cleanup
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp


def test_from_the_answer_on_every_route_is_404_for_everybody(app: InProcessApp, alice: Client, bob: Client) -> None:
    project_id = alice.create()
    kept = alice.create("Kept")
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "admin"})
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    assert alice.delete(f"/api/projects/{project_id}").json == {"ok": True}
    for client in (alice, bob):
        for method, path in (
            ("GET", ""),
            ("PUT", ""),
            ("DELETE", ""),
            ("GET", "/members"),
            ("POST", "/members"),
            ("DELETE", f"/members/{bob.user_id}"),
            ("GET", "/timeline"),
            ("GET", "/export"),
            ("POST", "/exports"),
            ("GET", "/exports"),
            ("GET", f"/exports/{export_id}"),
        ):
            body = {"name": "n", "email": bob.email} if method in {"PUT", "POST"} else None
            assert client.request(method, f"/api/projects/{project_id}{path}", body).status == 404, (method, path)
    assert [project["id"] for project in alice.get("/api/projects")["items"]] == [kept]
    assert alice.get("/api/projects")["total"] == 1
    assert bob.get("/api/projects?limit=1").json == {"items": [], "total": 0, "limit": 1, "offset": 0}


def test_nothing_is_left(app: InProcessApp, alice: Client, bob: Client) -> None:
    key = str(uuid.uuid4())
    project_id = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)["project_id"]
    members = f"/api/projects/{project_id}/members"
    for number in range(40):
        alice.post(members, {"email": app.user(f"user{number}").email})
    for number in range(60):
        artifact = app.store(project_id, f"datasets/{number}", b"first")
        app.store(project_id, f"datasets/{number}", b"second")
        resource = {"id": str(uuid.uuid4()), "name": "n", "artifact": artifact}
        app.announce("Dataset Created", project_id, resource)
    app.announce("Model Deleted", project_id, {"id": str(uuid.uuid4()), "name": "gone before it came"})
    app.process_queues()
    alice.post(f"/api/projects/{project_id}/exports")
    app.process_queues()
    assert len(app.objects(project_id)) == 121
    assert len(app.items(project_id)) > 140
    alice.delete(f"/api/projects/{project_id}")
    app.process_queues()
    assert app.items(project_id) == []
    assert app.objects(project_id) == []
    assert alice.get("/api/projects")["total"] == 0
    again = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)
    assert again["project_id"] != project_id
    assert alice.get("/api/projects")["total"] == 1


def test_an_event_after_the_deletion_is_put_aside(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    alice.delete(f"/api/projects/{project_id}")
    app.announce("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "late"})
    app.process_queues()
    ((_, why),) = app.dead_letters()
    assert "no such project" in why
    assert app.items(project_id) == []


def test_a_repeat_after_the_deletion_is_done_and_changes_nothing(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    repeated = app.event("Dataset Created", project_id, {"id": str(uuid.uuid4()), "name": "early.csv"})
    assert app.deliver([repeated]) == []
    alice.delete(f"/api/projects/{project_id}")
    before = app.items(project_id)
    assert app.deliver([repeated, repeated]) == []
    assert app.dead_letters() == []
    assert app.items(project_id) == before

    app.process_queues()
    assert app.deliver([repeated]) == []
    ((_, why),) = app.dead_letters()
    assert "no such project" in why


def test_a_purge_whose_message_was_lost_is_made_up_for(
    app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = alice.create()
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.sqs.send_purge", lambda *_, **__: None)
        alice.delete(f"/api/projects/{project_id}")
    app.process_queues()
    assert app.items(project_id)
    app.resume_stalled()
    app.process_queues()
    assert app.items(project_id) == []


def test_a_purge_under_way_is_not_sent_for_again(
    app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = ProjectId(alice.create())
    app.store(project_id, "a", b"a")
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.domain.projects.now", lambda: now() - timedelta(hours=1))
        alice.delete(f"/api/projects/{project_id}")
    with pytest.raises(PurgeIncompleteError):
        purge_project(project_id, should_continue=lambda: False)
    sent: list[str] = []
    monkeypatch.setattr("projects_api.storage.sqs.send_purge", lambda project_id, **_: sent.append(project_id))
    app.invoke("ResumeStalled", {})
    assert project_id not in sent
    monkeypatch.undo()
    app.process_queues()
    assert app.items(project_id) == []


def test_a_project_can_be_deleted_that_is_full(app: InProcessApp, alice: Client) -> None:
    """There no item may grow, and no emulator knows: so its own item is held against what it was before."""
    project_id = alice.create()
    app.invoke("ScheduleExports", {})  # after which it is no work for any job, and deleting makes it one

    def size() -> int:
        (item,) = (item for item in app.items(project_id) if item["SK"]["S"] == "PROJECT")
        return sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items())

    before = size()
    alice.delete(f"/api/projects/{project_id}")
    assert size() <= before


def test_an_upload_under_way_is_aborted_and_leaves_no_object(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    place = {"Bucket": app.stack.artifacts, "Key": f"projects/{project_id}/models/m"}
    upload = app.s3.create_multipart_upload(**place)["UploadId"]
    app.s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"half")
    alice.delete(f"/api/projects/{project_id}")
    app.process_queues()
    left = app.s3.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"])
    assert not left.get("Uploads")
    assert app.objects(project_id) == []


def test_an_upload_whose_key_xml_cannot_carry_is_aborted(app: InProcessApp) -> None:
    bucket, asked = app.stack.artifacts, {"Prefix": "p/", "EncodingType": "url"}
    with Stubber(clients.s3()) as s3:
        first = {
            "Uploads": [{"Key": "p/a%01b+c%2B", "UploadId": "1"}],
            "EncodingType": "url",
            "IsTruncated": True,
            "NextKeyMarker": "p/a%01b+c%2B",
            "NextUploadIdMarker": "1",
        }
        s3.add_response("list_multipart_uploads", first, {"Bucket": bucket} | asked)
        s3.add_response("abort_multipart_upload", {}, {"Bucket": bucket, "Key": "p/a\x01b c+", "UploadId": "1"})
        after = {"KeyMarker": "p/a\x01b c+", "UploadIdMarker": "1"}
        rest = {"Uploads": [{"Key": "p/a%20b", "UploadId": "2"}]}  # of one that does not know the encoding
        s3.add_response("list_multipart_uploads", rest, {"Bucket": bucket} | asked | after)
        s3.add_response("abort_multipart_upload", {}, {"Bucket": bucket, "Key": "p/a%20b", "UploadId": "2"})
        bucket_cleanup.abort_uploads(bucket, "p/")
        s3.assert_no_pending_responses()


def test_an_object_whose_key_xml_cannot_carry_does_not_keep_the_others(app: InProcessApp) -> None:
    """Of which neither moto nor SeaweedFS can tell: their lists are broken by such a key."""
    bucket = app.stack.artifacts
    keys = ["p/fine", "p/a\x01b", "p/fine too"]
    with Stubber(clients.s3()) as s3:
        versions = [{"Key": key, "VersionId": f"version of {key}"} for key in keys]
        s3.add_response("list_object_versions", {"Versions": versions})
        s3.add_response("delete_object", {}, {"Bucket": bucket} | versions[1])
        listed = {"Objects": [versions[0], versions[2]], "Quiet": True}
        s3.add_response("delete_objects", {}, {"Bucket": bucket, "Delete": listed})
        assert bucket_cleanup.delete_objects(bucket, "p/")
        s3.assert_no_pending_responses()


def test_an_idempotency_key_that_stands_for_a_later_project_outlives_the_first(
    app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = str(uuid.uuid4())
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.dynamodb.project_store.IDEMPOTENCY_WINDOW", timedelta(days=-1))
        first = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)["project_id"]
    second = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)["project_id"]
    assert first != second
    alice.delete(f"/api/projects/{first}")
    app.process_queues()
    assert alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)["project_id"] == second


def test_a_purge_does_not_wait_for_an_export_that_found_the_project_deleted(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    alice.delete(f"/api/projects/{project_id}")
    app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
    app.deliver([{"project_id": project_id}], "PurgeProject")
    assert app.items(project_id) == []
    app.process_queues()
