"""The actions that fault injection tests: one for each function, and for each of its ways."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from projects_api.storage import sqs
from tests.support import imports
from tests.support.api_client import Client
from tests.support.imports import zip_files
from tests.support.in_process_app import InProcessApp
from tests.support.project_files import FILES, UMLAUT
from tests.support.uploads import complete, describe, put_parts

RESOURCE_ID = "00000000-0000-4000-8000-000000000001"
OCCURRED_AT = "2026-02-10T09:00:00Z"


@dataclass
class Scene:
    """A project that Alice owns and Bob edits, with a dataset that has a file. Carol is no member."""

    app: InProcessApp
    alice: Client
    bob: Client
    carol: Client
    project_id: str
    url: str


def create_scene(app: InProcessApp) -> Scene:
    alice, bob, carol = app.create_user("alice"), app.create_user("bob"), app.create_user("carol")
    project_id = alice.create("Project", description="d")
    url = f"/api/projects/{project_id}"
    alice.post(f"{url}/members", {"email": bob.email})
    artifact = app.store_artifact(project_id, "datasets/a.csv", b"a,b\n")
    dataset = {"id": RESOURCE_ID, "name": "a.csv", "artifact": artifact}
    app.publish_event("Dataset Created", project_id, dataset, OCCURRED_AT)
    app.process_queues()
    return Scene(app, alice, bob, carol, project_id, url)


#: A repeatable action. It returns the response of the API or the result of the function.
type Action = Callable[[], Any]


# Each of these prepares the scene for an action, and returns the action.


def list_projects(scene: Scene) -> Action:
    return lambda: scene.alice.get("/api/projects")


def search_projects(scene: Scene) -> Action:
    return lambda: scene.alice.get("/api/projects?search=p")


def create_project(scene: Scene) -> Action:
    return lambda: scene.alice.post("/api/projects", {"name": "New"}, Idempotency_Key="once")


def get_project(scene: Scene) -> Action:
    return lambda: scene.alice.get(scene.url)


def update_project(scene: Scene) -> Action:
    return lambda: scene.alice.put(scene.url, {"name": "Other"})


def delete_project(scene: Scene) -> Action:
    return lambda: scene.alice.delete(scene.url)


def list_members(scene: Scene) -> Action:
    return lambda: scene.alice.get(f"{scene.url}/members")


def add_member(scene: Scene) -> Action:
    return lambda: scene.alice.post(f"{scene.url}/members", {"email": scene.carol.email})


def change_role(scene: Scene) -> Action:
    return lambda: scene.alice.post(f"{scene.url}/members", {"email": scene.bob.email, "role": "viewer"})


def remove_member(scene: Scene) -> Action:
    return lambda: scene.alice.delete(f"{scene.url}/members/{scene.bob.user_id}")


def transfer_ownership(scene: Scene) -> Action:
    return lambda: scene.alice.put(f"{scene.url}/owner", {"email": scene.bob.email})


def transfer_project(scene: Scene) -> Action:
    event = {"project_id": scene.project_id, "email": scene.carol.email}
    return lambda: scene.app.invoke("TransferProject", event)


def transfer_project_of_deactivated_owner(scene: Scene) -> Action:
    scene.app.invoke("DeactivateUser", {"email": scene.alice.email})
    return transfer_project(scene)


def list_users(scene: Scene) -> Action:
    return lambda: scene.app.invoke("ListUsers", {})


def list_api_keys(scene: Scene) -> Action:
    return lambda: scene.app.invoke("ListApiKeys", {"email": scene.alice.email})


def deactivate_user(scene: Scene) -> Action:
    scene.app.invoke("CreateApiKey", {"email": scene.alice.email, "scopes": ["read"]})
    return lambda: scene.app.invoke("DeactivateUser", {"email": scene.alice.email})


def get_activity(scene: Scene) -> Action:
    return lambda: scene.alice.get(f"{scene.url}/activity")


def get_timeline(scene: Scene) -> Action:
    return lambda: scene.alice.get(f"{scene.url}/timeline")


def start_export(scene: Scene) -> Action:
    return lambda: scene.alice.post(f"{scene.url}/exports")


def start_fresh_export(scene: Scene) -> Action:
    key = str(uuid.uuid4())
    return lambda: scene.alice.post(f"{scene.url}/exports", {"fresh": True}, Idempotency_Key=key)


def cancel_export(scene: Scene) -> Action:
    export_id = scene.alice.post(f"{scene.url}/exports")["export"]["id"]
    return lambda: scene.alice.delete(f"{scene.url}/exports/{export_id}")


def list_exports(scene: Scene) -> Action:
    export_project(scene)
    return lambda: scene.alice.get(f"{scene.url}/exports")


def get_export(scene: Scene) -> Action:
    export_id = export_project(scene)
    return lambda: scene.alice.get(f"{scene.url}/exports/{export_id}")


def get_archive(scene: Scene) -> Action:
    export_project(scene)
    return lambda: scene.alice.get(f"{scene.url}/export")


def export_project(scene: Scene) -> str:
    """Export the project, and return the id of the ready export."""
    export_id: str = scene.alice.post(f"{scene.url}/exports")["export"]["id"]
    scene.app.process_queues()
    return export_id


def start_import(scene: Scene) -> Action:
    body = {"project_id": scene.project_id, "export_id": export_project(scene)}
    return lambda: scene.alice.post("/api/imports", body, Idempotency_Key="once")


def start_archive_upload(scene: Scene) -> Action:
    return lambda: scene.alice.post("/api/imports", {"size_bytes": 2}, Idempotency_Key="once")


def list_archive_parts(scene: Scene) -> Action:
    upload_id = start_archive_upload(scene)()["upload"]["id"]
    return lambda: scene.alice.post(f"/api/uploads/{upload_id}/parts", {})


def complete_archive_upload(scene: Scene) -> Action:
    upload = start_archive_upload(scene)()["upload"]
    put_parts(upload, b"PK")
    return lambda: complete(scene.alice, upload)


def get_import(scene: Scene) -> Action:
    import_id = start_import(scene)()["import"]["id"]
    scene.app.process_queues()
    return lambda: scene.alice.get(f"/api/imports/{import_id}")


def run_import(scene: Scene) -> Action:
    import_id = start_import(scene)()["import"]["id"]
    return deliver_message(scene, "RunImport", {"import_id": import_id})


def run_uploaded_import(scene: Scene) -> Action:
    """Import an uploaded archive with a deflated file and members."""
    export_id = export_project(scene)
    key = f"{scene.project_id}/{export_id}.zip"
    body = scene.app.s3.get_object(Bucket=scene.app.stack.exports, Key=key)["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    import_id = imports.start_import(scene.app, scene.alice, zip_files(files, zipfile.ZIP_DEFLATED), members="match")
    return deliver_message(scene, "RunImport", {"import_id": import_id})


def run_failing_import(scene: Scene) -> Action:
    """Import an archive that fails after some files are written, because the content of another one is damaged."""
    archive = zip_files(FILES).replace(FILES[UMLAUT], bytes(len(FILES[UMLAUT])))
    import_id = imports.start_import(scene.app, scene.alice, archive)
    return deliver_message(scene, "RunImport", {"import_id": import_id})


def deliver_message(scene: Scene, function: str, body: Any) -> Action:
    return lambda: scene.app.deliver([body], function)


def deliver_event(scene: Scene, change: str, **resource: Any) -> Action:
    detail = {
        "project_id": scene.project_id,
        "occurred_at": "2026-02-11T09:00:00Z",
        "resource": {"id": RESOURCE_ID, "name": "b.csv", **resource},
    }
    return deliver_message(scene, "RecordResource", {"detail-type": change, "detail": detail})


def record_new_resource(scene: Scene) -> Action:
    return deliver_event(scene, "Model Created")


def record_update(scene: Scene) -> Action:
    return deliver_event(scene, "Dataset Updated", rows=3)


def record_deletion(scene: Scene) -> Action:
    return deliver_event(scene, "Dataset Deleted")


def record_batch(scene: Scene) -> Action:
    other_project_id = scene.alice.create("Other")

    def build_body(project_id: str, number: int) -> str:
        resource = {"id": f"{RESOURCE_ID[:-1]}{number}", "name": "m"}
        return json.dumps(scene.app.build_event("Model Created", project_id, resource, OCCURRED_AT))

    bodies = [
        build_body(scene.project_id, 2),
        build_body(other_project_id, 3),
        build_body(scene.project_id, 4),
        '{"no": "event"}',
        build_body(scene.project_id, 5),
    ]
    return lambda: scene.app.deliver(bodies)


def reject_event(scene: Scene) -> Action:
    return deliver_event(scene, "Dataset Mislaid")


def purge_project(scene: Scene) -> Action:
    export_project(scene)
    scene.alice.delete(scene.url)
    return deliver_message(scene, "PurgeProject", {"project_id": scene.project_id})


def schedule_exports(scene: Scene) -> Action:
    return lambda: scene.app.invoke("ScheduleExports", {})


def resume_stalled(scene: Scene) -> Action:
    """Lose the messages of an import, an export and a purge, and return the action that sends them again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqs, "send_exports", lambda exports: [True for _ in exports])
        for function in ("send_import", "send_purge"):
            patch.setattr(sqs, function, lambda *_, **__: None)
        start_import(scene)()
        scene.alice.put(scene.url, {"name": "Changed"})
        scene.alice.post(f"{scene.url}/exports")
        other_project_id = scene.alice.create("Other")
        scene.alice.delete(f"/api/projects/{other_project_id}")

    return scene.app.resume_stalled


def register_user(scene: Scene) -> Action:
    return lambda: scene.app.invoke("RegisterUser", {"email": "dora@example.com", "name": "Dora"})


def create_api_key(scene: Scene) -> Action:
    return lambda: scene.app.invoke("CreateApiKey", {"email": scene.alice.email, "scopes": ["read"]})


def revoke_api_key(scene: Scene) -> Action:
    return lambda: scene.app.invoke("RevokeApiKey", {"key_id": scene.bob.api_key.split("_")[1]})


def create_resource(scene: Scene) -> Action:
    body = {"type": "model", "name": "m"}
    return lambda: scene.alice.post(f"{scene.url}/resources", body, Idempotency_Key="once")


def start_upload(scene: Scene) -> Action:
    body = describe("b.csv", b"b")
    return lambda: scene.alice.post(f"{scene.url}/resources", body, Idempotency_Key="once")


def list_resources(scene: Scene) -> Action:
    return lambda: scene.alice.get(f"{scene.url}/resources")


def get_resource(scene: Scene) -> Action:
    return lambda: scene.alice.get(f"{scene.url}/resources/{RESOURCE_ID}")


def update_resource(scene: Scene) -> Action:
    return lambda: scene.alice.put(f"{scene.url}/resources/{RESOURCE_ID}", {"name": "b", "file": None})


def delete_resource(scene: Scene) -> Action:
    return lambda: scene.alice.delete(f"{scene.url}/resources/{RESOURCE_ID}")


def list_parts(scene: Scene) -> Action:
    upload = scene.alice.post(f"{scene.url}/resources", describe("b.csv", b"b"))["upload"]
    return lambda: scene.alice.post(f"/api/uploads/{upload['id']}/parts", {})


def complete_upload(scene: Scene) -> Action:
    upload = scene.alice.post(f"{scene.url}/resources", describe("b.csv", b"b"))["upload"]
    put_parts(upload, b"b")
    return lambda: complete(scene.alice, upload)


def sweep_artifacts(scene: Scene) -> Action:
    scene.app.store_artifact(RESOURCE_ID, "orphan", b"o")
    return lambda: scene.app.invoke("SweepArtifacts", {})


#: The function under test, the action that calls it, and the status of a repeat after a first request that took effect.
#: The status is 0 where the function has no HTTP response.
ACTIONS: list[tuple[str, Callable[[Scene], Action], int]] = [
    ("Authorize", get_project, 200),
    ("ListProjects", list_projects, 200),
    ("ListProjects", search_projects, 200),
    ("CreateProject", create_project, 201),
    ("GetProject", get_project, 200),
    ("UpdateProject", update_project, 200),
    ("DeleteProject", delete_project, 404),
    ("ListMembers", list_members, 200),
    ("AddMember", add_member, 200),
    ("AddMember", change_role, 200),
    ("RemoveMember", remove_member, 404),
    ("TransferOwnership", transfer_ownership, 200),
    ("GetTimeline", get_timeline, 200),
    ("GetActivity", get_activity, 200),
    ("ListResources", list_resources, 200),
    ("GetResource", get_resource, 200),
    ("CreateResource", create_resource, 201),
    ("CreateResource", start_upload, 201),
    ("UpdateResource", update_resource, 200),
    ("DeleteResource", delete_resource, 404),
    ("ListParts", list_parts, 200),
    ("CompleteUpload", complete_upload, 201),
    ("SweepArtifacts", sweep_artifacts, 0),
    ("GetArchive", get_archive, 200),
    ("StartExport", start_export, 202),
    ("ListExports", list_exports, 200),
    ("GetExport", get_export, 200),
    ("StartImport", start_import, 202),
    ("StartImport", start_archive_upload, 201),
    ("ListParts", list_archive_parts, 200),
    ("CompleteUpload", complete_archive_upload, 202),
    ("GetImport", get_import, 200),
    ("RunImport", run_import, 0),
    ("RunImport", run_uploaded_import, 0),
    ("RunImport", run_failing_import, 0),
    ("StartExport", start_fresh_export, 202),
    ("CancelExport", cancel_export, 200),
    ("RecordResource", record_new_resource, 0),
    ("RecordResource", record_update, 0),
    ("RecordResource", record_deletion, 0),
    ("RecordResource", reject_event, 0),
    ("RecordResource", record_batch, 0),
    ("PurgeProject", purge_project, 0),
    ("ScheduleExports", schedule_exports, 0),
    ("ResumeStalled", resume_stalled, 0),
    ("RegisterUser", register_user, 0),
    ("CreateApiKey", create_api_key, 0),
    ("ListUsers", list_users, 0),
    ("ListApiKeys", list_api_keys, 0),
    ("DeactivateUser", deactivate_user, 0),
    ("TransferProject", transfer_project, 0),
    ("TransferProject", transfer_project_of_deactivated_owner, 0),
    ("RevokeApiKey", revoke_api_key, 0),
]

#: The actions that take effect at least once: a repeat sends another dead letter, or creates another API key.
AT_LEAST_ONCE = {reject_event, record_batch, create_api_key}
