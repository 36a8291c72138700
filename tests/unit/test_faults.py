"""Fault injection: every call of every function to AWS fails once, in each way that the function can tell apart.

The caller gets the correct response, or an error in JSON that reveals no internals. A repeated request leaves the same
state as a request without the fault.
"""

import io
import json
import re
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from botocore.exceptions import ClientError

from projects_api.domain.exports import export_requests
from projects_api.domain.imports import file_copier, import_worker
from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import sqs
from projects_api.storage.dynamodb import keys
from tests.support import imports
from tests.support.api_client import Client, Response
from tests.support.fault_injection import Fault, inject_fault
from tests.support.imports import zip_files
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import CrashError
from tests.support.moto_snapshot import StorageSnapshot
from tests.support.project_files import FILES, UMLAUT
from tests.support.uploads import complete, describe, put_parts

pytestmark = pytest.mark.memory

#: One fault of each kind that a function can tell apart. A crash before a call is the same as one after the last write.
#: tests/unit/test_storage_errors.py proves that the other faults look like one of these, or like no fault, once the
#: client has retried.
WRITE_FAULTS = (
    Fault.THROTTLED,
    Fault.ACCESS_DENIED,
    Fault.RESPONSE_LOST,
    Fault.RESPONSE_LOST_ONCE,
    Fault.CRASH_AFTER,
)

#: A read has no effect, so that a crash before or after it is the same as one after the last write before it.
READ_FAULTS = (Fault.THROTTLED, Fault.ACCESS_DENIED)

READ_PREFIXES = ("BatchGet", "Get", "Head", "List", "Query")

#: The operations that DynamoDB rejects while a transaction writes the same item.
CONFLICTING_OPERATIONS = {"TransactWriteItems", "UpdateItem"}

RESOURCE_ID = "00000000-0000-4000-8000-000000000001"
OCCURRED_AT = "2026-02-10T09:00:00Z"


def find_faults(operation: str) -> tuple[Fault, ...]:
    """Return the faults that a function can tell apart at a call of this operation."""
    if operation.startswith(READ_PREFIXES):
        return READ_FAULTS
    return (*WRITE_FAULTS, Fault.CONFLICTS) if operation in CONFLICTING_OPERATIONS else WRITE_FAULTS


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

#: The operations with which an import fails for good if S3 refuses them: those on the archive and on its files.
REFUSABLE_OPERATIONS = {"HeadObject", "GetObject", "PutObject", "CreateMultipartUpload", "UploadPartCopy",
                        "CompleteMultipartUpload"}  # fmt: skip

FAILED, DONE = "failed", "done"


def run_action(action: Action) -> int | str:
    """Run an action, and check the response of the API if there is one.

    Returns:
        The status of the response. `DONE` or `FAILED` for a function that has no HTTP response.
    """
    try:
        result = action()
    except (CrashError, StorageUnavailableError, ClientError):
        return FAILED
    if isinstance(result, list):  # the messages to deliver again
        return FAILED if result else DONE
    if not isinstance(result, Response):
        return FAILED if result.get("failed") else DONE
    if result.status >= 400:
        assert isinstance(result.json.get("detail", result.json.get("message")), str), result
        assert not re.search(rb"Traceback|botocore|arn:|Error\b|PROJECT#|\.py", result.body), result
    if result.status == 503:
        assert int(result.headers["Retry-After"]) > 0
    return result.status


def finish_pending_work(app: InProcessApp) -> None:
    """Process all messages, and let the recovery job finish the rest, as it does in time."""
    app.process_queues()
    if any(item.get("pending_work", {}).get("S", "DUE")[:3] != "DUE" for item in app.find_items("")):
        app.resume_stalled()
        app.process_queues()


@cache
def replace_random_values(text: str) -> str:
    """Replace the ids, times, revisions and secrets in an item, an object key or a dead letter."""
    for pattern, label in (
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"(DUE|EXPORT|IMPORT|PURGE|ANNOUNCEMENT|UPLOAD|FILE)#\d", r"\1"),
        (r"#[0-9a-f]{16}\b", "#DIGEST"),
        (r'"(secret_sha256|s3_upload_id|revision|expires_at|size_bytes|bytes_\w+)": \{[^}]*\}', r'"\1"'),
        (r"APIKEY#[0-9a-f]{16}|(?<=\"id\": \{\"S\": \")[0-9a-f]{16}", "APIKEY"),
    ):
        text = re.sub(pattern, label, text)
    return text


def list_versions(app: InProcessApp) -> list[str]:
    """Return the keys of all versions of the objects, or one line for an object under any number of delete markers."""
    versions = Counter(app.find_objects(""))
    for key, count in list(versions.items()):
        if count > 1:
            markers = app.s3.list_object_versions(Bucket=app.stack.artifacts, Prefix=key).get("DeleteMarkers", [])
            if any(marker["IsLatest"] and marker["Key"] == key for marker in markers):
                del versions[key]
                versions[f"{key}, hidden"] = 1
    return list(versions.elements())


def read_state(scene: Scene) -> Counter[str]:
    """Return all items, objects and new dead letters, without the values that differ from run to run."""
    items = [json.dumps(item, sort_keys=True) for item in scene.app.find_items("")]
    dead_letters = [json.dumps(letter) for letter in scene.app.take_dead_letters()]
    texts = items + dead_letters + list_versions(scene.app)
    return Counter(replace_random_values(text.replace(scene.project_id, "PROJECT")) for text in texts)


def find_leftovers_of_failed_import(app: InProcessApp, error: str) -> list[str]:
    """Check that the only import has failed with an error, and return what it has left."""
    (record,) = [item for item in app.find_items("") if item["PK"]["S"].startswith("IMPORT#")]
    assert (record["status"]["S"], error in record["errors"]["S"]) == ("failed", True), record
    return imports.find_leftovers(app, record["id"]["S"])


@pytest.fixture(autouse=True)
def fast_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for archives and leases, copy the smallest files inside S3, and use one shard for pending work."""
    monkeypatch.setattr(export_requests, "WAIT", 0.0)
    monkeypatch.setattr(keys, "PENDING_WORK_SHARDS", 1)
    monkeypatch.setattr(import_worker, "LEASE", timedelta(seconds=-1))
    monkeypatch.setattr(file_copier, "MIN_COPY_SIZE", 4)
    monkeypatch.setattr(file_copier, "MIN_PART_SIZE", 0)


@pytest.fixture(scope="module")
def case_counts() -> Iterator[Counter[str]]:
    """Count the injected faults per function, and print the counts at the end."""
    counts: Counter[str] = Counter()
    yield counts
    print(f"\n{counts.total()} faults in the calls of {len(counts)} functions: {dict(counts)}")


@pytest.mark.parametrize(
    ("function", "prepare", "repeat_status"), ACTIONS, ids=[prepare.__name__ for _, prepare, _ in ACTIONS]
)
def test_fault_in_any_call(
    app: InProcessApp,
    case_counts: Counter[str],
    function: str,
    prepare: Callable[[Scene], Action],
    repeat_status: int,
) -> None:
    """The caller gets a clear error or the correct response, and a repeat reaches the state without the fault."""
    app.reset()
    scene = create_scene(app)
    action = prepare(scene)
    snapshot = StorageSnapshot(app)
    with inject_fault(app, function) as network:
        expected = run_action(action)
    assert expected != FAILED
    assert network.calls
    finish_pending_work(app)
    if prepare is run_failing_import:
        assert find_leftovers_of_failed_import(app, "its checksum is wrong") == []
    expected_state = read_state(scene)
    for number, operation in enumerate(network.calls):
        for fault in find_faults(operation):
            case = f"{function}: call {number}, {operation}: {fault.value}"
            snapshot.restore()
            with inject_fault(app, function, failing_call=number, fault=fault):
                outcome = run_action(action)
            case_counts[function] += 1
            if fault.is_transient:
                assert outcome == expected, case
            assert run_action(action) in {expected, repeat_status or DONE}, case
            finish_pending_work(app)
            if function == "RunImport" and fault is Fault.ACCESS_DENIED and operation in REFUSABLE_OPERATIONS:
                assert find_leftovers_of_failed_import(app, "AccessDenied") == [], case
                continue
            state = read_state(scene)
            if prepare in AT_LEAST_ONCE:
                assert state.keys() == expected_state.keys(), case
            else:
                assert state == expected_state, case
