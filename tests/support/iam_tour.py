"""A scenario in which every function uses each of its permissions."""

from __future__ import annotations

import os
import sys
import uuid
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import boto3

from projects_api.domain import projects
from projects_api.domain.exports import export_requests, retention
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import sqs
from projects_api.storage.dynamodb import member_store
from projects_api.storage.dynamodb.export_lease import ExportLease
from projects_api.storage.s3 import archive_store, artifact_store, artifact_upload, artifact_writer, multipart_upload
from projects_api.storage.s3.artifact_writer import ArtifactCopy
from tests.support.api_client import Client
from tests.support.iam_requests import IamRequest, queue_arn
from tests.support.imports import import_archive
from tests.support.in_process_app import InProcessApp
from tests.support.uploads import complete, describe, put_parts, upload_file

MIB = 1 << 20


def use_all_permissions(app: InProcessApp) -> None:
    """Run the scenario, each function with the policies of its own role."""
    alice, bob = app.create_user("alice"), app.create_user("bob")
    with patch.object(export_requests, "WAIT", 0.05), patch.object(export_requests, "FIRST_POLL_DELAY", 0.01):
        project_id = _use_projects_and_members(app, alice, bob)
        _record_artifacts(app, project_id)
        _use_resources_and_uploads(app, alice, bob)
        _export_projects(app, alice, project_id)
        _resume_exports(app, alice, project_id)
        _cancel_exports(app, alice)
        _retire_archives(app, alice)
        _export_deleted_project(app, alice)
        _import_projects(app, alice, bob, project_id)
        _upload_archives(app, alice)
        _resume_artifact_upload(app, project_id)
        _delete_project(app, alice, project_id)
        _resend_lost_messages(app, alice)
    key = app.invoke("CreateApiKey", {"email": alice.email, "scopes": ["read"]})
    app.invoke("RevokeApiKey", {"key_id": key["key_id"]})
    app.invoke("RegisterUser", {"email": alice.email, "name": "Again"})
    _transfer_projects(app)
    _use_lambda_service_permissions(app)
    app.take_dead_letters()


def _use_projects_and_members(app: InProcessApp, alice: Client, bob: Client) -> str:
    project_id = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=str(uuid.uuid4()))["project_id"]
    project = f"/api/projects/{project_id}"
    alice.put(project, {"name": "m"})
    alice.get(project)
    alice.get("/api/projects?limit=1")
    alice.get("/api/projects?sort_field=name")
    for role in ("viewer", "editor"):
        assert alice.post(f"{project}/members", {"email": bob.email, "role": role}).status in {200, 201}
    alice.get(f"{project}/members")
    assert alice.delete(f"{project}/members/{bob.user_id}").status == 200
    assert alice.post(f"{project}/members", {"email": bob.email}).status == 201
    return str(project_id)


def _record_artifacts(app: InProcessApp, project_id: str) -> None:
    for size, checksum in ((9 * MIB, "CRC32"), (10, "SHA256")):
        artifact = app.store_artifact(project_id, f"models/{uuid.uuid4()}", bytes(size), ChecksumAlgorithm=checksum)
        app.publish_event("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    dataset_id = str(uuid.uuid4())
    for change in ("Dataset Created", "Dataset Updated", "Dataset Deleted"):
        app.publish_event(change, project_id, {"id": dataset_id, "name": "d"})
    app.publish_event("Dataset Created", str(uuid.uuid4()), {"id": dataset_id, "name": "d"})
    app.process_queues()
    with app.permissions.acting_as("AssembleExport"):  # moto does not return the checksums of parts
        listed = next(artifact_store.list_all(ProjectId(project_id)))
        artifact_store.list_part_checksums(listed.pin)


def _use_resources_and_uploads(app: InProcessApp, alice: Client, bob: Client) -> None:
    project_id = alice.create("Uploads")
    url, members = f"/api/projects/{project_id}/resources", f"/api/projects/{project_id}/members"
    alice.post(members, {"email": bob.email})
    artifact = {"key": f"projects/{project_id}/missing", "content_type": "text/csv"}
    foreign_id = str(uuid.uuid4())
    app.publish_event("Dataset Created", project_id, {"id": foreign_id, "name": "d", "artifact": artifact})
    app.process_queues()
    alice.get(f"{url}/{foreign_id}")
    alice.post(url, {"type": "model", "name": "m"}, Idempotency_Key="1")
    resource = upload_file(alice, project_id, "a.csv", b"a\n")
    alice.get(url)
    alice.get(f"{url}?type=dataset")
    alice.get(f"{url}/{resource['id']}")

    def start(client: Client, **headers: str) -> Any:
        upload = client.post(url, describe("b.csv", b"b\n"), **headers)["upload"]
        put_parts(upload, b"b\n")
        return upload

    def replace(name: str) -> Any:
        key = str(uuid.uuid4())
        for _ in range(2):
            upload = bob.put(f"{url}/{resource['id']}", describe(name, b"b\n"), Idempotency_Key=key)["upload"]
        put_parts(upload, b"b\n")
        return upload

    start(alice, Idempotency_Key="2")
    start(alice, Idempotency_Key="2")
    missing_part = alice.post(url, describe("b.csv", b"b\n"))["upload"]
    alice.post(f"/api/uploads/{missing_part['id']}/parts", {})
    complete(bob, replace("b.csv"))
    complete(bob, replace("b.csv"))
    alice.put(f"{url}/{resource['id']}", {"name": "n", "file": None})
    with patch.dict(os.environ, MAX_OPEN_UPLOADS="0"):
        alice.post(url, describe("b.csv", b"b\n"))
        alice.put(f"{url}/{resource['id']}", describe("b.csv", b"b\n"))
    alice.delete(f"{url}/{upload_file(alice, project_id, 'c.csv', b'c')['id']}")
    _interrupt_uploads(app, alice, bob, url, members)
    app.store_artifact(str(uuid.uuid4()), "orphan", b"o")
    app.invoke("SweepArtifacts", {})


def _interrupt_uploads(app: InProcessApp, alice: Client, bob: Client, url: str, members: str) -> None:
    """Complete and abort uploads in the requests and in the recovery job, before and after S3 has assembled them."""

    def start(client: Client) -> Any:
        upload = client.post(url, describe("b.csv", b"b\n"))["upload"]
        put_parts(upload, b"b\n")
        return upload

    assembled, unassembled, expired = start(alice), start(alice), start(alice)
    demoted, outlived, refused = start(bob), start(bob), start(bob)
    real = artifact_upload.complete

    def assemble_and_wait(*arguments: Any) -> None:
        real(*arguments)
        raise artifact_upload.AssemblyPendingError

    with patch.object(artifact_upload, "complete", assemble_and_wait):
        complete(alice, assembled)
        complete(bob, outlived)
        complete(bob, demoted)
    with patch.object(artifact_upload, "complete", side_effect=artifact_upload.AssemblyPendingError):
        complete(alice, unassembled)
    alice.post(members, {"email": bob.email, "role": "viewer"})
    complete(bob, demoted)
    complete(bob, refused)
    in_use = upload_file(alice, url.split("/")[3], "d.csv", b"d")
    with patch("projects_api.domain.uploaded_files.delete_unreferenced"):
        alice.delete(f"{url}/{in_use['id']}")
    app.resume_stalled()
    app.resume_stalled(after=timedelta(days=8))
    assert complete(alice, expired).status == 404


def _export_projects(app: InProcessApp, alice: Client, project_id: str) -> None:
    path = f"/api/projects/{project_id}"
    alice.get(f"{path}/timeline")
    alice.get(f"{path}/activity")
    alice.get(f"{path}/timeline?type=model")
    export_id = alice.post(f"{path}/exports")["export"]["id"]
    app.process_queues()
    alice.get(f"{path}/exports")  # the first request with a URL of an export records the download
    assert alice.post(f"{path}/exports")["export"]["status"] == "ready"
    alice.get(f"{path}/exports/{export_id}")
    alice.get(f"{path}/export")
    alice.put(path, {"name": "changed"})
    alice.get(f"{path}/export")
    app.process_queues()
    assert alice.post(f"{path}/exports")["export"]["status"] == "ready"
    small = alice.create("Small")
    alice.get(f"/api/projects/{small}/export")
    app.process_queues()
    assert alice.get(f"/api/projects/{small}/export").body.startswith(b"PK")
    for method, route in (("GET", "export"), ("POST", "exports")):
        for key in app.find_objects(f"{small}/"):
            app.s3.delete_object(Bucket=app.stack.exports, Key=key)
        assert alice.request(method, f"/api/projects/{small}/{route}").status in {202, 307}  # a new export
        app.process_queues()
    alice.put(path, {"name": "changed again"})
    app.invoke("ScheduleExports", {})
    app.process_queues()


def _resume_exports(app: InProcessApp, alice: Client, project_id: str) -> None:
    """Resume an export that was interrupted and has a second, unneeded upload, and one that ran out of time."""
    path, function = f"/api/projects/{project_id}", sys.modules["functions_assemble_export"]
    alice.put(path, {"name": "interrupted"})
    export_id = alice.post(f"{path}/exports")["export"]["id"]
    message = {"project_id": project_id, "export_id": export_id}
    with patch.object(multipart_upload.MultipartUpload, "complete", side_effect=StorageUnavailableError):
        app.deliver([message], "AssembleExport")
    key = archive_store.archive_key(ProjectId(project_id), ExportId(export_id))
    boto3.client("s3").create_multipart_upload(Bucket=app.stack.exports, Key=key)
    app.deliver([message], "AssembleExport")
    resumed = alice.get(f"{path}/exports/{export_id}")["export"]
    assert resumed["status"] == "ready", resumed
    alice.put(path, {"name": "out of time"})
    export_id = alice.post(f"{path}/exports")["export"]["id"]
    with patch.object(function, "TIME_RESERVE", 10**9):
        app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
    app.process_queues()


def _cancel_exports(app: InProcessApp, alice: Client) -> None:
    """Cancel an export that a worker has begun, a scheduled one, and one whose worker notices."""
    project_id = alice.create("Cancelled")
    path = f"/api/projects/{project_id}/exports"
    artifact = app.store_artifact(project_id, "models/m", bytes(9 * MIB))
    app.publish_event("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    app.process_queues()
    export_id = alice.post(path)["export"]["id"]
    with patch.object(multipart_upload.MultipartUpload, "complete", side_effect=StorageUnavailableError):
        app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
    assert alice.delete(f"{path}/{export_id}").status == 200
    assert not app.find_objects(export_id)
    app.invoke("ScheduleExports", {})
    assert alice.delete(f"{path}/{alice.get(path)['items'][0]['id']}").status == 200
    export_id = alice.post(path, {"fresh": True}, Idempotency_Key=str(uuid.uuid4()))["export"]["id"]
    mark_ready = ExportLease.mark_ready

    def cancel_and_mark_ready(lease: ExportLease, **options: Any) -> None:
        alice.delete(f"{path}/{export_id}")
        mark_ready(lease, **options)

    with patch.object(ExportLease, "mark_ready", cancel_and_mark_ready):
        app.process_queues()
    assert alice.get(f"{path}/{export_id}")["export"]["status"] == "cancelled"


def _retire_archives(app: InProcessApp, alice: Client) -> None:
    """Let a project keep one archive only, and remove the other."""
    project_id = alice.create("Kept")
    with patch.object(retention, "KEPT_ARCHIVES", 1), patch.object(retention, "URLS_EXPIRE", timedelta(0)):
        for _ in range(2):
            alice.post(f"/api/projects/{project_id}/exports", {"fresh": True})
            app.process_queues()
    assert app.invoke("ResumeStalled", {})["resumed"] == 1
    assert len(alice.get(f"/api/projects/{project_id}/exports")["items"]) == 1


def _export_deleted_project(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create("Short-lived")
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    mark_ready = ExportLease.mark_ready

    def delete_and_mark_ready(lease: ExportLease, **options: Any) -> None:
        alice.delete(f"/api/projects/{project_id}")
        mark_ready(lease, **options)

    with patch.object(ExportLease, "mark_ready", delete_and_mark_ready):
        app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport")
    app.process_queues()


def _list_upload_keys(app: InProcessApp) -> set[str]:
    """Return the keys of the multipart uploads in the artifacts bucket."""
    page = app.s3.list_multipart_uploads(Bucket=app.stack.artifacts)
    return {upload["Key"] for upload in page.get("Uploads", [])}


def _import_projects(app: InProcessApp, alice: Client, bob: Client, project_id: str) -> None:
    """Copy an export in several runs, import an uploaded archive, and import one with wrong content."""
    path = f"/api/projects/{project_id}"
    alice.post(f"{path}/exports")
    app.process_queues()
    export = alice.get(f"{path}/exports?limit=1")["items"][0]
    body = {"project_id": project_id, "export_id": export["id"], "members": "match"}
    started = [alice.post("/api/imports", body, Idempotency_Key="import") for _ in range(2)]
    import_id = started[0]["import"]["id"]
    assert import_id == started[1]["import"]["id"]
    message = {"import_id": import_id}
    earlier_uploads = _list_upload_keys(app)
    with patch.object(sys.modules["functions_run_import"], "TIME_RESERVE", 10**9):
        app.deliver([message], "RunImport")
    with patch.object(ArtifactCopy, "complete", side_effect=StorageUnavailableError):
        assert app.deliver([message], "RunImport")
    (key,) = _list_upload_keys(app) - earlier_uploads
    app.s3.create_multipart_upload(Bucket=app.stack.artifacts, Key=key)
    assert not app.deliver([message], "RunImport")
    assert alice.get(f"/api/imports/{import_id}")["import"]["status"] == "ready"
    key = archive_store.archive_key(ProjectId(project_id), ExportId(export["id"]))
    archive = bytearray(app.s3.get_object(Bucket=app.stack.exports, Key=key)["Body"].read())
    uploaded = import_archive(app, bob, bytes(archive), members="match")
    assert uploaded["status"] == "ready", uploaded
    archive[len(archive) // 2] ^= 1
    failed = import_archive(app, bob, bytes(archive))
    assert failed["status"] == "failed", failed
    app.deliver([{"import_id": failed["id"]}], "RunImport")
    pending = alice.post("/api/imports", body)["import"]["id"]
    app.s3.delete_object(Bucket=app.stack.exports, Key=key)
    app.process_queues()
    assert alice.get(f"/api/imports/{pending}")["import"]["status"] == "failed"


def _upload_archives(app: InProcessApp, alice: Client) -> None:
    """Start imports with uploads, and complete and abort them in the requests and in the recovery job."""
    archive = b"no archive"

    def start(**headers: str) -> Any:
        response = alice.post("/api/imports", {"size_bytes": len(archive)}, **headers)
        assert response.status == 201, response
        put_parts(response["upload"], archive)
        return response["upload"]

    with patch.dict(os.environ, MAX_OPEN_UPLOADS="0"):
        assert alice.post("/api/imports", {"size_bytes": 1}).status == 409
    without_part = alice.post("/api/imports", {"size_bytes": 1})["upload"]
    alice.post(f"/api/uploads/{without_part['id']}/parts", {})
    completed = start(Idempotency_Key="archive")
    assert start(Idempotency_Key="archive")["id"] == completed["id"]
    for _ in range(2):
        assert complete(alice, completed).status == 202
    unassembled, expired = start(), start()
    assembled, outlived, assembled_before, outlived_before = start(), start(), start(), start()
    assemble = artifact_upload.complete

    def assemble_and_wait(*arguments: Any) -> None:
        assemble(*arguments)
        raise artifact_upload.AssemblyPendingError

    with patch.object(artifact_upload, "complete", side_effect=artifact_upload.AssemblyPendingError):
        complete(alice, unassembled)
    with patch.object(artifact_upload, "complete", assemble_and_wait):
        for upload in (assembled, outlived, assembled_before, outlived_before):
            complete(alice, upload)
    for upload in (outlived, outlived_before):  # the record of the import expires before the upload is completed
        key = {name: {"S": value} for name, value in (("PK", f"IMPORT#{upload['import_id']}"), ("SK", "IMPORT"))}
        app.dynamodb.delete_item(TableName=app.stack.table, Key=key)
    assert complete(alice, assembled_before).status == 202
    assert complete(alice, outlived_before).status == 404
    app.resume_stalled()
    app.resume_stalled(after=timedelta(days=8))
    assert complete(alice, expired).status == 404
    app.process_queues()


def _resume_artifact_upload(app: InProcessApp, project_id: str) -> None:
    """Resume one of two uploads that a worker left when it died while it imported an artifact."""
    key = f"projects/{project_id}/interrupted"
    for _ in range(2):
        boto3.client("s3").create_multipart_upload(Bucket=app.stack.artifacts, Key=key)
    with app.permissions.acting_as("RunImport"):
        artifact_writer.ArtifactCopy(key, content_type="text/csv", resumed=True)


def _delete_project(app: InProcessApp, alice: Client, project_id: str) -> None:
    s3 = boto3.client("s3")
    s3.create_multipart_upload(Bucket=app.stack.artifacts, Key=f"projects/{project_id}/unfinished")
    s3.create_multipart_upload(
        Bucket=app.stack.exports, Key=archive_store.archive_key(ProjectId(project_id), ExportId(str(uuid.uuid4())))
    )
    with patch.object(member_store, "MEMBERS_PER_TRANSACTION", 1), patch.object(projects, "MAX_MEMBERS_REMOVED", 1):
        assert alice.delete(f"/api/projects/{project_id}").status == 200
    with patch.object(sys.modules["functions_purge_project"], "TIME_RESERVE", 10**9):
        app.deliver([{"project_id": project_id}], "PurgeProject")
    app.process_queues()
    app.deliver([{"project_id": project_id}], "PurgeProject")
    # the items of imports, and of the projects that they created, name their origin
    assert not [item for item in app.find_items(project_id) if project_id in item["PK"]["S"]]


def _resend_lost_messages(app: InProcessApp, alice: Client) -> None:
    lost = alice.create("Copied")
    alice.post(f"/api/projects/{lost}/exports")
    app.process_queues()
    export_id = alice.get(f"/api/projects/{lost}/exports")["items"][0]["id"]
    with (
        patch.object(sqs, "send_exports", lambda exports: [True for _ in exports]),
        patch.object(sqs, "_send"),
        patch("projects_api.domain.announcements.send"),
    ):
        exported_id, deleted_id = alice.create("Exported"), alice.create("Deleted")
        alice.post(f"/api/projects/{exported_id}/exports")
        alice.delete(f"/api/projects/{deleted_id}")
        alice.post("/api/imports", {"project_id": lost, "export_id": export_id})
    assert app.resume_stalled()["resumed"] > 1
    app.process_queues()


def _use_lambda_service_permissions(app: InProcessApp) -> None:
    """Check the permissions that Lambda itself uses with a function's role: to write logs and to poll queues."""
    (group,) = boto3.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/projects-")["logGroups"]
    stream = f"arn:aws:logs:eu-west-1:123456789012:log-group:{group['logGroupName']}:log-stream:s"
    for function in app.stack.functions:
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            assert app.permissions.permits(function, IamRequest(action, stream))
    for source in app.stack.event_sources:
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            assert app.permissions.permits(source.function, IamRequest(action, queue_arn(source.queue_url)))
    dead_letters = IamRequest("sqs:SendMessage", queue_arn("projects-schedule-dead-letters"))
    assert app.permissions.permits("ScheduleExports", dead_letters)


def _transfer_projects(app: InProcessApp) -> None:
    owner, member, other = (app.create_user(nick) for nick in ("owner", "member", "other"))
    project_id = owner.create("Transferred")
    path = f"/api/projects/{project_id}"
    owner.post(f"{path}/members", {"email": member.email})
    assert owner.put(f"{path}/owner", {"email": member.email}).status == 200
    assert owner.get("/api/me").status == 200
    for email in (owner.email, other.email):
        app.invoke("TransferProject", {"project_id": project_id, "email": email})
    app.invoke("ListUsers", {})
    app.invoke("ListApiKeys", {"email": other.email})
    app.invoke("DeactivateUser", {"email": other.email})
    app.invoke("TransferProject", {"project_id": project_id, "email": owner.email})
