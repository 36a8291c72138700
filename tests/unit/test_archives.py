"""The content of an archive, and its delivery to the client."""

import uuid

import pytest

from tests.support.api_client import Client
from tests.support.archives import download, finish_export, run_scheduled_export, unpack_archive
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.usefixtures("short_export_wait")


def test_archive_is_complete(app: InProcessApp, alice: Client, bob: Client, project_id: str) -> None:
    """An archive contains the project, its members, its resources and every file."""
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "viewer"})
    started = alice.get(f"/api/projects/{project_id}/export", Accept="application/json")
    assert started.status == 202
    assert int(started.headers["Retry-After"]) > 0
    export = started["export"]
    assert (export["status"], export["trigger"], export["download_url"]) == ("pending", "request", None)
    poll = started.headers["Location"]
    assert poll == f"/api/projects/{project_id}/exports/{export['id']}"
    assert alice.get(poll)["export"]["id"] == export["id"]
    app.process_queues()
    ready = alice.get(poll)["export"]
    assert ready["status"] == "ready"
    assert ready["error"] is None
    size = ready["size_bytes"]
    assert ready["progress"] == {"bytes_done": size, "bytes_total": size, "files_done": 3, "files_total": 3}
    body = download(ready["download_url"])
    assert len(body) == size
    manifest, files = unpack_archive(body)
    assert manifest["project"]["name"] == "Größe: 1/2"
    assert [member["email"] for member in manifest["members"]] == [alice.email, bob.email]
    assert [resource["type"] for resource in manifest["resources"]] == ["dataset", "model", "report", "experiment"]
    assert manifest["resources"][0]["note"] == {"deep": [1, 2.5, None]}
    assert manifest["resources"][3]["duration"] == 3
    assert sorted(len(data) for data in files.values()) == [0, 4000, 25_600]


def test_small_archive_is_the_response(app: InProcessApp, alice: Client, project_id: str) -> None:
    """A plain GET waits, redirects to itself while the export is pending, and returns a small archive directly."""
    path = f"/api/projects/{project_id}/export"
    pending = alice.get(path)
    assert pending.status == 307
    app.process_queues()
    response = alice.get(path, Accept="*/*")
    assert (response.status, response.headers["Content-Type"]) == (200, "application/zip")
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe_%201_2.zip" in response.headers["Content-Disposition"]
    unpack_archive(response.body)


def test_large_archive_is_a_redirect(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create("Large")
    body = bytes(range(256)) * 4096 * 12
    artifact = app.store_artifact(project_id, "models/m.bin", body)
    app.publish_event("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    app.process_queues()
    finish_export(app, alice, project_id)
    response = alice.get(f"/api/projects/{project_id}/export")
    assert response.status == 302  # to the presigned URL
    assert "This is not the archive. Follow the redirect" in response.body.decode()
    _, files = unpack_archive(download(response.headers["Location"]))
    assert files == {"models/m.bin": body}


def test_same_content_has_same_bytes(app: InProcessApp, alice: Client, project_id: str) -> None:
    first = download(finish_export(app, alice, project_id)["export"]["download_url"])
    name = alice.get(f"/api/projects/{project_id}")["project"]["name"]
    for new_name in ("Other", name):
        alice.put(f"/api/projects/{project_id}", {"name": new_name})
    second = download(finish_export(app, alice, project_id)["export"]["download_url"])
    manifests = [unpack_archive(body)[0] for body in (first, second)]
    for manifest in manifests:
        del manifest["project"]["updated_at"]
    assert manifests[0] == manifests[1]
    third_id = run_scheduled_export(app, alice, project_id)
    assert download(alice.get(f"/api/projects/{project_id}/exports/{third_id}")["export"]["download_url"]) == second


def test_manifest_keeps_conflicting_fields(app: InProcessApp, alice: Client) -> None:
    """A resource's own field is not lost if the manifest has a field of the same name."""
    project_id = alice.create()
    own_fields = {
        "type": "canary",
        "path": "/v1/predict",
        "timestamp": "noon",
        "origin": 7,
        "fields": [1],
        "replicas": 2,
    }
    app.publish_event("Deployment Created", project_id, {"id": str(uuid.uuid4()), "name": "d"} | own_fields)
    app.process_queues()
    manifest, _ = unpack_archive(download(finish_export(app, alice, project_id)["export"]["download_url"]))
    (row,) = manifest["resources"]
    assert (row["type"], row["path"], row["replicas"]) == ("deployment", None, 2)
    assert row["fields"] == {name: own_fields[name] for name in ("type", "path", "timestamp", "origin", "fields")}


def test_missing_artifact(app: InProcessApp, alice: Client, project_id: str) -> None:
    """An export fails with the key of a missing artifact, and succeeds once the artifact exists."""
    key = f"projects/{project_id}/models/missing.bin"
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": key}}
    app.publish_event("Model Created", project_id, resource)
    app.process_queues()
    alice.get(f"/api/projects/{project_id}/export")
    app.process_queues()
    failed = alice.get(f"/api/projects/{project_id}/exports")["items"][0]
    assert failed["status"] == "failed"
    assert key in failed["error"]
    assert app.find_uploads(project_id) == []
    app.store_artifact(project_id, "models/missing.bin", b"found")
    retried = alice.post(f"/api/projects/{project_id}/exports")["export"]
    app.process_queues()
    ready = alice.get(f"/api/projects/{project_id}/exports/{retried['id']}")["export"]
    assert ready["status"] == "ready"
    assert len(unpack_archive(download(ready["download_url"]))[1]) == 4


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "CRC32C"])
def test_artifact_without_crc32_is_exported(app: InProcessApp, alice: Client, algorithm: str) -> None:
    project_id = alice.create()
    artifact = app.store_artifact(project_id, "f", b"content", ChecksumAlgorithm=algorithm)
    app.publish_event("Report Created", project_id, {"id": str(uuid.uuid4()), "name": "f", "artifact": artifact})
    app.process_queues()
    _, files = unpack_archive(download(finish_export(app, alice, project_id)["export"]["download_url"]))
    assert files == {"f": b"content"}


def test_empty_project_has_an_archive(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    manifest, files = unpack_archive(download(finish_export(app, alice, project_id)["export"]["download_url"]))
    assert (manifest["resources"], files) == ([], {})
