"""Deleting a project: it disappears immediately for all members, and a purge then deletes every item and object."""

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


def test_deleted_project_is_404(app: InProcessApp, alice: Client, bob: Client) -> None:
    """From the response to the deletion on, every route of the project responds 404 to every member."""
    project_id = alice.create()
    kept_id = alice.create("Kept")
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
    assert [project["id"] for project in alice.get("/api/projects")["items"]] == [kept_id]
    assert alice.get("/api/projects")["total"] == 1
    assert bob.get("/api/projects?limit=1").json == {"items": [], "total": 0, "limit": 1, "offset": 0}


def test_purge_deletes_everything(app: InProcessApp, alice: Client, bob: Client) -> None:
    key = str(uuid.uuid4())
    project_id = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)["project_id"]
    members = f"/api/projects/{project_id}/members"
    for number in range(40):
        alice.post(members, {"email": app.create_user(f"user{number}").email})
    for number in range(60):
        artifact = app.store_artifact(project_id, f"datasets/{number}", b"first")
        app.store_artifact(project_id, f"datasets/{number}", b"second")
        resource = {"id": str(uuid.uuid4()), "name": "n", "artifact": artifact}
        app.publish_event("Dataset Created", project_id, resource)
    app.publish_event("Model Deleted", project_id, {"id": str(uuid.uuid4()), "name": "gone before it came"})
    app.process_queues()
    alice.post(f"/api/projects/{project_id}/exports")
    app.process_queues()
    assert len(app.find_objects(project_id)) == 120 + 2  # the versions of the artifacts, the archive and its index
    assert len(app.find_items(project_id)) > 140
    alice.delete(f"/api/projects/{project_id}")
    app.process_queues()
    assert app.find_items(project_id) == []
    assert app.find_objects(project_id) == []
    assert alice.get("/api/projects")["total"] == 0
    repeated = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)
    assert repeated["project_id"] != project_id
    assert alice.get("/api/projects")["total"] == 1


def test_event_of_deleted_project_is_rejected(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    alice.delete(f"/api/projects/{project_id}")
    app.publish_event("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "late"})
    app.process_queues()
    ((_, reason),) = app.take_dead_letters()
    assert "no such project" in reason
    assert app.find_items(project_id) == []


def test_repeat_after_deletion_is_ignored(app: InProcessApp, alice: Client) -> None:
    """A repeated event changes nothing until the project is purged. After the purge it is rejected."""
    project_id = alice.create()
    repeated = app.build_event("Dataset Created", project_id, {"id": str(uuid.uuid4()), "name": "early.csv"})
    assert app.deliver([repeated]) == []
    alice.delete(f"/api/projects/{project_id}")
    before = app.find_items(project_id)
    assert app.deliver([repeated, repeated]) == []
    assert app.take_dead_letters() == []
    assert app.find_items(project_id) == before

    app.process_queues()
    assert app.deliver([repeated]) == []
    ((_, reason),) = app.take_dead_letters()
    assert "no such project" in reason


def test_lost_purge_message(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recovery job resumes a purge whose message was lost."""
    project_id = alice.create()
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.sqs.send_purge", lambda *_, **__: None)
        alice.delete(f"/api/projects/{project_id}")
    app.process_queues()
    assert app.find_items(project_id)
    app.resume_stalled()
    app.process_queues()
    assert app.find_items(project_id) == []


def test_running_purge_is_not_resumed(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recovery job does not resume a purge that has made progress recently."""
    project_id = ProjectId(alice.create())
    app.store_artifact(project_id, "a", b"a")
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
    assert app.find_items(project_id) == []


def test_full_project_can_be_deleted(app: InProcessApp, alice: Client) -> None:
    """Deleting a project does not enlarge its item.

    No item may grow in a project whose item collection is full. No emulator enforces this.
    """
    project_id = alice.create()
    app.invoke("ScheduleExports", {})  # removes the project from the pending work; deleting it adds it again

    def measure_item() -> int:
        (item,) = (item for item in app.find_items(project_id) if item["SK"]["S"] == "PROJECT")
        return sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items())

    before = measure_item()
    alice.delete(f"/api/projects/{project_id}")
    assert measure_item() <= before


def test_uploads_are_aborted(app: InProcessApp, alice: Client) -> None:
    """A purge aborts multipart uploads that are not completed."""
    project_id = alice.create()
    location = {"Bucket": app.stack.artifacts, "Key": f"projects/{project_id}/models/m"}
    upload = app.s3.create_multipart_upload(**location)["UploadId"]
    app.s3.upload_part(**location, UploadId=upload, PartNumber=1, Body=b"half")
    alice.delete(f"/api/projects/{project_id}")
    app.process_queues()
    uploads = app.s3.list_multipart_uploads(Bucket=location["Bucket"], Prefix=location["Key"])
    assert not uploads.get("Uploads")
    assert app.find_objects(project_id) == []


def test_upload_with_encoded_key_is_aborted(app: InProcessApp) -> None:
    """Keys in a listing are decoded if the response says that they are encoded. XML cannot contain every character."""
    bucket, request = app.stack.artifacts, {"Prefix": "p/", "EncodingType": "url"}
    with Stubber(clients.s3()) as s3:
        first_page = {
            "Uploads": [{"Key": "p/a%01b+c%2B", "UploadId": "1"}],
            "EncodingType": "url",
            "IsTruncated": True,
            "NextKeyMarker": "p/a%01b+c%2B",
            "NextUploadIdMarker": "1",
        }
        s3.add_response("list_multipart_uploads", first_page, {"Bucket": bucket} | request)
        s3.add_response("abort_multipart_upload", {}, {"Bucket": bucket, "Key": "p/a\x01b c+", "UploadId": "1"})
        marker = {"KeyMarker": "p/a\x01b c+", "UploadIdMarker": "1"}
        last_page = {"Uploads": [{"Key": "p/a%20b", "UploadId": "2"}]}  # of a server that does not encode keys
        s3.add_response("list_multipart_uploads", last_page, {"Bucket": bucket} | request | marker)
        s3.add_response("abort_multipart_upload", {}, {"Bucket": bucket, "Key": "p/a%20b", "UploadId": "2"})
        bucket_cleanup.abort_uploads(bucket, "p/")
        s3.assert_no_pending_responses()


def test_object_with_control_character_is_deleted(app: InProcessApp) -> None:
    """An object whose key XML cannot contain is deleted with a request of its own, the others in a batch.

    The listings of moto and SeaweedFS are malformed with such a key, so the responses are stubbed.
    """
    bucket = app.stack.artifacts
    keys = ["p/fine", "p/a\x01b", "p/fine too"]
    with Stubber(clients.s3()) as s3:
        versions = [{"Key": key, "VersionId": f"version of {key}"} for key in keys]
        s3.add_response("list_object_versions", {"Versions": versions})
        s3.add_response("delete_object", {}, {"Bucket": bucket} | versions[1])
        batch = {"Objects": [versions[0], versions[2]], "Quiet": True}
        s3.add_response("delete_objects", {}, {"Bucket": bucket, "Delete": batch})
        assert bucket_cleanup.delete_objects(bucket, "p/")
        s3.assert_no_pending_responses()


def test_reused_idempotency_key_is_kept(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The purge of a project does not delete an Idempotency-Key that belongs to a later project by now."""
    key = str(uuid.uuid4())
    with monkeypatch.context() as patch:
        patch.setattr("projects_api.storage.dynamodb.idempotency_store.WINDOW", timedelta(days=-1))
        first_id = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)["project_id"]
    second_id = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)["project_id"]
    assert first_id != second_id
    alice.delete(f"/api/projects/{first_id}")
    app.process_queues()
    assert alice.post("/api/projects", {"name": "n"}, Idempotency_Key=key)["project_id"] == second_id


def test_purge_after_failed_export(app: InProcessApp, alice: Client) -> None:
    """A purge does not wait for an export that has ended because the project was deleted."""
    project_id = alice.create()
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    alice.delete(f"/api/projects/{project_id}")
    app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
    app.deliver([{"project_id": project_id}], "PurgeProject")
    assert app.find_items(project_id) == []
    app.process_queues()
