"""What an archive holds, and how a client gets it."""

import uuid

import boto3
import pytest

from tests.support.api_client import Client
from tests.support.archives import downloaded, finished, scheduled, unpacked
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.usefixtures("impatient")


def test_an_archive_holds_the_project_its_members_its_resources_and_every_file(
    app: InProcessApp, alice: Client, bob: Client, project_id: str
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
    app.process_queues()
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
    app: InProcessApp, alice: Client, project_id: str
) -> None:
    path = f"/api/projects/{project_id}/export"
    waited = alice.get(path)
    assert (waited.status, waited.headers["Location"]) == (307, path)
    app.process_queues()
    answer = alice.get(path, Accept="*/*")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    assert "filename*=UTF-8''Gr%C3%B6%C3%9Fe_%201_2.zip" in answer.headers["Content-Disposition"]
    unpacked(answer.body)


def test_a_large_archive_is_a_redirect_to_its_signed_url(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create("Large")
    body = bytes(range(256)) * 4096 * 12
    artifact = app.store(project_id, "models/m.bin", body)
    app.announce("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    app.process_queues()
    finished(app, alice, project_id)
    answer = alice.get(f"/api/projects/{project_id}/export")
    assert answer.status == 302
    _, files = unpacked(downloaded(answer.headers["Location"]))
    assert files == {"models/m.bin": body}


def test_the_same_content_gives_the_same_bytes(app: InProcessApp, alice: Client, project_id: str) -> None:
    first = downloaded(finished(app, alice, project_id)["export"]["download_url"])
    name = alice.get(f"/api/projects/{project_id}")["project"]["name"]
    for one in ("Other", name):
        alice.put(f"/api/projects/{project_id}", {"name": one})
    second = downloaded(finished(app, alice, project_id)["export"]["download_url"])
    manifests = [unpacked(body)[0] for body in (first, second)]
    for manifest in manifests:
        del manifest["project"]["updated_at"]
    assert manifests[0] == manifests[1]
    third_id = scheduled(app, alice, project_id)
    assert downloaded(alice.get(f"/api/projects/{project_id}/exports/{third_id}")["export"]["download_url"]) == second


def test_a_field_that_is_called_as_one_of_the_manifest_is_not_lost(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    own = {"type": "canary", "path": "/v1/predict", "timestamp": "noon", "fields": [1], "replicas": 2}
    app.announce("Deployment Created", project_id, {"id": str(uuid.uuid4()), "name": "d"} | own)
    app.process_queues()
    manifest, _ = unpacked(downloaded(finished(app, alice, project_id)["export"]["download_url"]))
    (row,) = manifest["resources"]
    assert (row["type"], row["path"], row["replicas"]) == ("deployment", None, 2)
    assert row["fields"] == {name: own[name] for name in ("type", "path", "timestamp", "fields")}


def test_an_export_whose_artifact_is_missing_fails_with_its_name_and_can_be_repeated(
    app: InProcessApp, alice: Client, project_id: str
) -> None:
    key = f"projects/{project_id}/models/missing.bin"
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": key}}
    app.announce("Model Created", project_id, resource)
    app.process_queues()
    alice.get(f"/api/projects/{project_id}/export")
    app.process_queues()
    failed = alice.get(f"/api/projects/{project_id}/exports")["items"][0]
    assert failed["status"] == "failed"
    assert key in failed["error"]
    assert boto3.client("s3").list_multipart_uploads(Bucket=app.stack.exports).get("Uploads") is None
    app.store(project_id, "models/missing.bin", b"found")
    ready = finished(app, alice, project_id)["export"]
    assert ready["status"] == "ready"
    assert len(unpacked(downloaded(ready["download_url"]))[1]) == 4


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "CRC32C"])
def test_an_artifact_without_a_crc32_is_exported_all_the_same(app: InProcessApp, alice: Client, algorithm: str) -> None:
    project_id = alice.create()
    artifact = app.store(project_id, "f", b"content", ChecksumAlgorithm=algorithm)
    app.announce("Report Created", project_id, {"id": str(uuid.uuid4()), "name": "f", "artifact": artifact})
    app.process_queues()
    _, files = unpacked(downloaded(finished(app, alice, project_id)["export"]["download_url"]))
    assert files == {"f": b"content"}


def test_an_empty_project_has_an_archive(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    manifest, files = unpacked(downloaded(finished(app, alice, project_id)["export"]["download_url"]))
    assert (manifest["resources"], files) == ([], {})
