"""Imports: copies of exports, archives as people make them, members, and the way from archive to project and back."""

import io
import json
import uuid
import zipfile
import zlib
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from projects_api.domain import upload_completion
from projects_api.entities.clock import now, rfc3339
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.dynamodb import export_store, keys
from tests.support.api_client import Client
from tests.support.archives import download, finish_export, unpack_archive
from tests.support.imports import copy_project, find_leftovers, import_archive, start_import, zip_files
from tests.support.in_process_app import InProcessApp
from tests.support.uploads import complete, put_parts


def export_archive(app: InProcessApp, client: Client, project_id: str) -> bytes:
    """Export a project, and return the bytes of the archive."""
    return download(finish_export(app, client, project_id)["export"]["download_url"])


def without_ids_and_times(manifest: dict[str, Any], files: dict[str, bytes]) -> tuple[dict[str, Any], Any, Any]:
    """Return the content of an archive without ids, the project's times, origins and order."""
    project = {name: value for name, value in manifest["project"].items() if name not in PROJECT_IDS_AND_TIMES}
    members = [(member["email"], member["name"], member["role"]) for member in manifest["members"]]
    resources = sorted(
        json.dumps({name: value for name, value in row.items() if name not in {"id", "origin"}}, sort_keys=True)
        for row in manifest["resources"]
    )
    rows = {row["path"]: row for row in manifest["files"]}
    contents = {path: (content, rows[path]["file_name"], rows[path]["content_type"]) for path, content in files.items()}
    return project, members, (resources, contents)


PROJECT_IDS_AND_TIMES = {"id", "owner_id", "created_at", "updated_at"}


def test_a_copy_has_everything(app: InProcessApp, alice: Client, project_id: str) -> None:
    """The copy of a project has its name, description, resources and files, and records their origin."""
    before = alice.get(f"/api/projects/{project_id}")["project"]
    ready = copy_project(app, alice, project_id)
    assert (ready["status"], ready["errors"], ready["error_count"], ready["warnings"]) == ("ready", [], 0, [])
    assert ready["progress"]["files_done"] == ready["progress"]["files_total"] == 3
    assert ready["project_id"] not in {None, project_id}
    copy = alice.get(f"/api/projects/{ready['project_id']}")["project"]
    ignored = {"id", "created_at", "updated_at"}
    assert {name: value for name, value in copy.items() if name not in ignored} == {
        name: value for name, value in before.items() if name not in ignored
    }
    manifest, _ = unpack_archive(export_archive(app, alice, ready["project_id"]))
    source, _ = unpack_archive(export_archive(app, alice, project_id))
    origins = [(row["origin"]["project_id"], row["origin"]["resource_id"]) for row in manifest["resources"]]
    assert sorted(origins) == sorted((project_id, row["id"]) for row in source["resources"])
    assert app.find_broken_invariants() == []


def test_round_trip(app: InProcessApp, alice: Client, project_id: str) -> None:
    """Export, import and export: the archives differ in ids, the project's times, origins and order only."""
    shared = app.store_artifact(project_id, "models/shared.bin", b"shared")
    for name in ("first", "second"):
        app.publish_event("Model Created", project_id, {"id": str(uuid.uuid4()), "name": name, "artifact": shared})
    odd = {"id": str(uuid.uuid4()), "name": "odd", "artifact": app.store_artifact(project_id, "reports/a:b?.md", b"x")}
    taken = {"path": "/p", "fields": {"deep": [1, None]}, "origin": "o", "timestamp": "noon", "type": "canary"}
    app.publish_event("Report Created", project_id, odd | taken, "2024-02-29T23:59:59.123456Z")
    resource_id = str(uuid.uuid4())
    artifact = app.store_artifact(project_id, f"datasets/{resource_id}/d.csv", b"1,2")
    app.publish_event("Dataset Created", project_id, {"id": resource_id, "name": "d", "artifact": artifact})
    app.process_queues()
    first_archive = export_archive(app, alice, project_id)
    ready = import_archive(app, alice, first_archive)
    assert ready["status"] == "ready", ready
    first, second = (unpack_archive(body) for body in (first_archive, export_archive(app, alice, ready["project_id"])))
    (moved,) = [row["id"] for row in second[0]["resources"] if row["name"] == "d"]
    assert moved != resource_id
    renamed = {path.replace(moved, resource_id): content for path, content in second[1].items()}
    text = json.dumps(second[0]).replace(f"datasets/{moved}/", f"datasets/{resource_id}/")
    assert without_ids_and_times(json.loads(text), renamed) == without_ids_and_times(*first)
    again = import_archive(app, alice, export_archive(app, alice, ready["project_id"]))
    third, _ = unpack_archive(export_archive(app, alice, again["project_id"]))
    assert {row["origin"]["project_id"] for row in third["resources"]} == {ready["project_id"]}


def test_nobody_sees_a_project_before_its_import_is_ready(app: InProcessApp, alice: Client, project_id: str) -> None:
    import_id = start_import(app, alice, export_archive(app, alice, project_id))
    (item,) = [item for item in app.find_items(import_id) if item["SK"]["S"] == "PROJECT"]
    new_id = item["id"]["S"]
    assert alice.get(f"/api/projects/{new_id}").status == 404
    assert alice.delete(f"/api/projects/{new_id}").status == 404
    assert new_id not in {row["id"] for row in alice.get("/api/projects")["items"]}
    assert alice.get(f"/api/imports/{import_id}")["import"]["project_id"] is None
    app.publish_event("Dataset Created", new_id, {"id": str(uuid.uuid4()), "name": "early"})
    app.process_queues()
    app.deliver([{"import_id": import_id}], "RunImport")
    assert alice.get(f"/api/imports/{import_id}")["import"]["project_id"] == new_id
    assert alice.get(f"/api/projects/{new_id}")["project"]["dataset_count"] == 1
    assert alice.get("/api/projects")["items"][0]["id"] == new_id
    assert app.find_broken_invariants() == []
    app.take_dead_letters()


def test_matched_members(app: InProcessApp, alice: Client, bob: Client, project_id: str) -> None:
    """Registered members are added with roles up to admin. The importer is the owner, whatever the manifest says."""
    viewer = app.create_user("viewer")
    for client, role in ((bob, "editor"), (viewer, "viewer")):
        alice.post(f"/api/projects/{project_id}/members", {"email": client.email, "role": role})
    body = export_archive(app, alice, project_id)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files["manifest.json"])
    manifest["members"].append({**manifest["members"][0], "email": "nobody@example.com", "role": "admin"})
    ready = import_archive(
        app, bob, zip_files(files | {"manifest.json": json.dumps(manifest).encode()}), members="match"
    )
    assert ready["status"] == "ready", ready
    members = bob.get(f"/api/projects/{ready['project_id']}/members")["items"]
    assert [(member["email"], member["role"]) for member in members] == [
        (bob.email, "owner"),
        (alice.email, "admin"),
        (viewer.email, "viewer"),
    ]
    assert alice.get(f"/api/projects/{ready['project_id']}")["project"]["role"] == "admin"
    assert alice.get("/api/projects")["total"] == 2
    assert app.find_broken_invariants() == []


def test_many_matched_members(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members that do not fit into the last transaction are added before it."""
    monkeypatch.setattr("projects_api.domain.imports.import_worker.MEMBERS_PER_TRANSACTION", 2)
    clients = [app.create_user(f"user{number}") for number in range(4)]
    for client in clients:
        alice.post(f"/api/projects/{project_id}/members", {"email": client.email})
    ready = import_archive(app, alice, export_archive(app, alice, project_id), members="match")
    assert ready["status"] == "ready", ready
    members = alice.get(f"/api/projects/{ready['project_id']}/members")
    assert {member["email"] for member in members["items"]} == {client.email for client in (alice, *clients)}
    assert members["total"] == 5
    assert app.find_broken_invariants() == []


def test_version_1(app: InProcessApp, alice: Client) -> None:
    """The first version of the format is still imported: times without fractions, no origins, no file names."""
    resource_id = str(uuid.uuid4())
    manifest: dict[str, Any] = {
        "format": "projects-export/1",
        "project": {"id": str(uuid.uuid4()), "name": "Old", "description": "", "owner_id": str(uuid.uuid4())},
        "members": [],
        "resources": [
            {"origin": "own", "rows": 3, "id": resource_id, "type": "dataset", "name": "d",
             "timestamp": "2026-02-10T09:00:02.5Z", "path": "datasets/d.csv", "fields": {"path": "own"}}
        ],
        "files": [
            {"path": "datasets/d.csv", "size": 3, "crc32": f"{zlib.crc32(b'a,b'):08x}", "content_type": "text/csv",
             "resource_id": resource_id}
        ],
    }  # fmt: skip
    ready = import_archive(
        app, alice, zip_files({"manifest.json": json.dumps(manifest).encode(), "datasets/d.csv": b"a,b"})
    )
    assert ready["status"] == "ready", ready
    written, files = read_archive(export_archive(app, alice, ready["project_id"]))
    (row,) = written["resources"]
    assert (row["timestamp"], row["rows"], row["fields"]) == (
        "2026-02-10T09:00:02.500000Z",
        3,
        {"origin": "own", "path": "own"},
    )
    assert row["origin"] == {"project_id": manifest["project"]["id"], "resource_id": resource_id}
    assert files == {"datasets/d.csv": b"a,b"}


def read_archive(body: bytes) -> tuple[Any, dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        return manifest, {row["path"]: archive.read(row["path"]) for row in manifest["files"]}


def test_the_outcome_is_on_the_bus(app: InProcessApp, alice: Client, project_id: str) -> None:
    body = export_archive(app, alice, project_id)
    receive_events = app.listen()
    ready = import_archive(app, alice, body)
    failed = import_archive(app, alice, body[:-1])
    events = [event for event in receive_events() if event["detail-type"].startswith("Project Import")]
    assert [(event["detail-type"], event["detail"]["import_id"]) for event in events] == [
        ("Project Import Ready", ready["id"]),
        ("Project Import Failed", failed["id"]),
    ]
    assert events[0]["detail"]["project_id"] == ready["project_id"]


def test_what_an_import_creates_is_announced_and_in_the_activity(
    app: InProcessApp, alice: Client, project_id: str
) -> None:
    receive_events = app.listen()
    ready = copy_project(app, alice, project_id)
    events = [event for event in receive_events() if event["detail"].get("project_id") == ready["project_id"]]
    assert sorted(event["detail-type"] for event in events) == [
        "Dataset Created", "Experiment Created", "Model Created", "Project Created", "Project Import Ready",
        "Report Created",
    ]  # fmt: skip
    assert {event["detail"].get("announced_by") for event in events if "resource" in event["detail"]} == {"projects"}
    entries = alice.get(f"/api/projects/{ready['project_id']}/activity")["items"]
    assert [(entry["action"], entry["actor"]["user_id"]) for entry in entries] == [("project.imported", alice.user_id)]


def test_a_failed_import_leaves_nothing(app: InProcessApp, alice: Client, project_id: str) -> None:
    body = bytearray(export_archive(app, alice, project_id))
    position = bytes(body).index(b"a,b\n")
    body[position] = ord("b")  # the content of a file, so that only its checksum tells
    failed = import_archive(app, alice, bytes(body))
    assert (failed["status"], failed["error_count"], failed["project_id"]) == ("failed", 1, None)
    assert "its checksum is wrong" in failed["errors"][0]
    app.process_queues()
    assert find_leftovers(app, failed["id"]) == []
    assert app.find_broken_invariants() == []


def test_a_repeated_request_starts_one_import(app: InProcessApp, alice: Client, project_id: str) -> None:
    export = finish_export(app, alice, project_id)["export"]
    body = {"project_id": project_id, "export_id": export["id"]}
    first, second = (alice.post("/api/imports", body, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status, second.status) == (202, 202)
    assert first["import"]["id"] == second["import"]["id"]
    other = alice.post("/api/imports", body | {"name": "Other"}, **{"Idempotency-Key": "k"})
    assert other.status == 422
    app.process_queues()


def test_who_may_copy(app: InProcessApp, alice: Client, bob: Client, project_id: str) -> None:
    """Any member may copy a ready export. Only the importer sees the import."""
    export = alice.post(f"/api/projects/{project_id}/exports")["export"]
    body = {"project_id": project_id, "export_id": export["id"]}
    assert bob.post("/api/imports", body).status == 404
    pending = alice.post("/api/imports", body)
    assert pending.status == 409
    assert "pending" in pending["detail"]
    app.process_queues()
    assert alice.post("/api/imports", body | {"export_id": str(uuid.uuid4())}).status == 404
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "viewer"})
    started = bob.post("/api/imports", body | {"name": " Copy "})
    app.process_queues()
    assert alice.get(f"/api/imports/{started['import']['id']}").status == 404
    ready = bob.get(f"/api/imports/{started['import']['id']}")["import"]
    copy = bob.get(f"/api/projects/{ready['project_id']}")["project"]
    assert (copy["name"], copy["role"]) == ("Copy", "owner")


def test_deactivated_users(app: InProcessApp, alice: Client, bob: Client, project_id: str) -> None:
    """A deactivated user neither becomes a member nor owns an imported project."""
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
    body = export_archive(app, alice, project_id)
    app.invoke("DeactivateUser", {"email": bob.email})
    ready = import_archive(app, alice, body, members="match")
    assert alice.get(f"/api/projects/{ready['project_id']}/members")["total"] == 1
    import_id = start_import(app, alice, body)
    app.invoke("DeactivateUser", {"email": alice.email})
    app.deliver([{"import_id": import_id}], "RunImport")
    (record,) = [item for item in app.find_items(import_id) if item["PK"]["S"] == f"IMPORT#{import_id}"]
    assert (record["status"]["S"], "deactivated" in record["errors"]["S"]) == ("failed", True)
    app.process_queues()
    assert find_leftovers(app, import_id) == []


def test_a_copy_keeps_its_export(app: InProcessApp, alice: Client, project_id: str) -> None:
    """From the request until the import ends, the export that is copied is not removed, although it is retired."""
    export = finish_export(app, alice, project_id)["export"]
    key = ProjectId(project_id), ExportId(export["id"])
    started = alice.post("/api/imports", {"project_id": project_id, "export_id": export["id"]})
    retire = {"ExpressionAttributeValues": {":now": {"N": "0"}}, "UpdateExpression": "SET retired_until = :now"}
    app.dynamodb.update_item(TableName=app.stack.table, Key=keys.export(*key), **retire)
    assert not export_store.begin_removal(*key)
    app.process_queues()
    assert alice.get(f"/api/imports/{started['import']['id']}")["import"]["status"] == "ready"
    with patch.object(export_store, "now", lambda: now() + timedelta(hours=2)):
        assert export_store.begin_removal(*key)
    refused = alice.post("/api/imports", {"project_id": project_id, "export_id": export["id"]})
    assert refused.status == 404


def test_the_archive_disappears(app: InProcessApp, alice: Client, project_id: str) -> None:
    export = finish_export(app, alice, project_id)["export"]
    started = alice.post("/api/imports", {"project_id": project_id, "export_id": export["id"]})
    app.s3.delete_object(Bucket=app.stack.exports, Key=f"{project_id}/{export['id']}.zip")
    app.process_queues()
    failed = alice.get(f"/api/imports/{started['import']['id']}")["import"]
    assert (failed["status"], failed["error_count"]) == ("failed", 1)
    assert "Start a new import" in failed["errors"][0]
    assert find_leftovers(app, failed["id"]) == []


def test_uploaded_archive(app: InProcessApp, alice: Client, bob: Client, project_id: str) -> None:
    """POST /api/imports returns an upload; completing the upload starts the import, and a repeat returns it again."""
    body = export_archive(app, alice, project_id)
    request = {"size_bytes": len(body), "name": "Restored"}
    started, again = (bob.post("/api/imports", request, **{"Idempotency-Key": "upload"}) for _ in range(2))
    assert (started.status, again.status) == (201, 201)
    upload, import_id = started["upload"], started["import"]["id"]
    assert started.headers["Location"] == f"/api/imports/{import_id}"
    assert (again["import"]["id"], again["upload"]["id"]) == (import_id, upload["id"])
    assert (upload["import_id"], upload["resource_id"], started["import"]["status"]) == (import_id, None, "uploading")
    assert bob.post("/api/imports", request | {"size_bytes": 1}, **{"Idempotency-Key": "upload"}).status == 422
    missing = complete(bob, upload)
    assert (missing.status, "1 of 1 parts" in missing["detail"]) == (409, True)
    assert complete(alice, upload).status == alice.get(f"/api/imports/{import_id}").status == 404
    put_parts(upload, body)
    parts = bob.post(f"/api/uploads/{upload['id']}/parts", {})
    assert [part["uploaded"] for part in parts["parts"]] == [True]
    assert bob.get("/api/projects")["total"] == 0
    for _ in range(2):
        completed = complete(bob, upload)
        assert (completed.status, completed["import"]["id"]) == (202, import_id)
        assert "Retry-After" not in completed.headers
    app.process_queues()
    ready = bob.get(f"/api/imports/{import_id}")["import"]
    assert ready["status"] == "ready", ready
    assert complete(bob, upload)["import"]["project_id"] == ready["project_id"]
    assert bob.get(f"/api/projects/{ready['project_id']}")["project"]["name"] == "Restored"
    assert app.find_objects(f"uploads/{import_id}") == []
    assert app.find_broken_invariants() == []


def test_too_many_uploads_of_archives(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads of archives count like uploads of files, until they are complete."""
    monkeypatch.setenv("MAX_OPEN_UPLOADS", "1")
    upload = alice.post("/api/imports", {"size_bytes": 2})["upload"]
    refused = alice.post("/api/imports", {"size_bytes": 2})
    assert (refused.status, "1 unfinished upload" in refused["detail"]) == (409, True)
    put_parts(upload, b"PK")
    assert complete(alice, upload).status == 202
    assert alice.post("/api/imports", {"size_bytes": 2}).status == 201


def test_archive_larger_than_the_limit(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_UPLOAD_BYTES", "9")
    refused = alice.post("/api/imports", {"size_bytes": 10})
    (error,) = refused["detail"]
    assert (refused.status, error["loc"], error["msg"]) == (
        422,
        ["body", "size_bytes"],
        "The file has 10 bytes: the maximum is 9.",
    )


def test_unfinished_upload_of_an_archive_expires(app: InProcessApp, alice: Client) -> None:
    """After a week, the recovery job aborts the upload, and nothing of it counts or remains in S3."""
    started = alice.post("/api/imports", {"size_bytes": 2})
    put_parts(started["upload"], b"PK")
    later = now() + timedelta(days=8)
    with app.permissions.acting_as("ResumeStalled"):
        assert upload_completion.resume_due(by=later) >= 1
    assert complete(alice, started["upload"]).status == 404
    assert app.find_uploads(started["import"]["id"]) == []
    assert started["import"]["expires_at"] < rfc3339(later)
    assert app.find_broken_invariants() == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"size_bytes": 0},
        {"size_bytes": 5, "part_size_bytes": 5},
        {"project_id": str(uuid.uuid4())},
        {"size_bytes": 5, "project_id": str(uuid.uuid4()), "export_id": str(uuid.uuid4())},
        {"size_bytes": 5, "members": "all"},
        {"size_bytes": 5, "name": " "},
    ],
)
def test_invalid_requests(alice: Client, body: dict[str, Any]) -> None:
    assert alice.post("/api/imports", body).status == 422
