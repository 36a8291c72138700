"""Uploads: parts by signed URLs, and completing them however often and wherever a function crashes."""

import json
import random
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from projects_api.domain import upload_completion
from projects_api.entities.clock import now
from projects_api.storage.s3 import artifact_upload
from tests.support.api_client import Client
from tests.support.archives import download
from tests.support.fault_injection import Fault, inject_fault
from tests.support.in_process_app import InProcessApp
from tests.support.uploads import BODY, MIN_PART, complete, describe, put_part, put_parts, start_upload, upload_file

#: S3 replaces a part. SeaweedFS keeps each version, lists all of them in random order, and completes an upload with any
#: (https://github.com/seaweedfs/seaweedfs/pull/5460).
KEEPS_REPLACED_PARTS = pytest.mark.memory("SeaweedFS keeps the replaced version of a part")


@pytest.fixture
def project_id(alice: Client) -> str:
    return alice.create("Churn")


@pytest.fixture
def url(project_id: str) -> str:
    return f"/api/projects/{project_id}/resources"


def test_upload_with_one_part(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """Nothing is recorded before the upload is complete. Then the file is in the timeline, and can be downloaded."""
    receive_events = app.listen()
    upload = start_upload(alice, url, fields={"rows": 2})
    assert upload.keys() >= {
        *("id", "resource_id", "part_size_bytes", "part_count", "parts"),
        *("urls_expire_at", "expires_at", "complete_url"),
    }
    assert (upload["part_count"], [part["number"] for part in upload["parts"]]) == (1, [1])
    assert upload["complete_url"].endswith(f"/api/uploads/{upload['id']}/complete")
    put_parts(upload, BODY)
    assert alice.get(url)["items"] == []
    assert alice.get(f"{url}/{upload['resource_id']}").status == 404
    assert receive_events() == []
    response = complete(alice, upload)
    assert response.status == 201
    assert response.headers["Location"] == f"{url}/{upload['resource_id']}"
    resource = response["resource"]
    assert (resource["id"], resource["fields"]) == (upload["resource_id"], {"rows": 2})
    assert (resource["artifact"]["file_name"], resource["artifact"]["size_bytes"]) == ("a.csv", len(BODY))
    assert resource["artifact"]["download_url"] is None
    read = alice.get(f"{url}/{resource['id']}")["resource"]
    assert download(read["artifact"]["download_url"]) == BODY
    assert app.find_objects(project_id) == [f"projects/{project_id}/datasets/{resource['id']}/a.csv"]
    (event,) = receive_events()
    assert event["detail-type"] == "Dataset Created"
    assert event["detail"]["resource"]["artifact"] == {
        "key": f"projects/{project_id}/datasets/{resource['id']}/a.csv",
        "content_type": "text/csv",
    }
    assert "http" not in json.dumps(event["detail"])
    assert app.find_broken_invariants() == []


def test_repeat_returns_the_same_result(app: InProcessApp, alice: Client, url: str) -> None:
    """Repeated completions return the resource as it was recorded, and record it once."""
    upload = start_upload(alice, url)
    put_parts(upload, BODY)
    receive_events = app.listen()
    first = complete(alice, upload)
    alice.put(f"{url}/{upload['resource_id']}", {"name": "renamed"})
    again = complete(alice, upload)
    assert (again.status, again["resource"]) == (201, first["resource"])
    assert Counter(event["detail-type"] for event in receive_events()) == {"Dataset Created": 1, "Dataset Updated": 1}


def test_no_part_url_changes_anything_afterwards(app: InProcessApp, alice: Client, url: str) -> None:
    upload = start_upload(alice, url)
    put_parts(upload, BODY)
    complete(alice, upload)
    assert put_part(upload["parts"][0]["url"], BODY[::-1]).status_code == 404
    artifact = alice.get(f"{url}/{upload['resource_id']}")["resource"]["artifact"]
    assert download(artifact["download_url"]) == BODY


@pytest.mark.parametrize("last_part", ["missing", pytest.param("too short", marks=KEEPS_REPLACED_PARTS)])
def test_parts_are_listed_and_checked(alice: Client, url: str, last_part: str) -> None:
    """Missing parts and parts of the wrong size are named, with a fresh URL for each."""
    body = random.randbytes(2 * MIN_PART + 7)
    upload = start_upload(alice, url, "m.bin", body, part_size_bytes=MIN_PART)
    assert upload["part_count"] == 3
    put_parts(upload, body, {1})
    if last_part == "too short":
        put_part(upload["parts"][2]["url"], body[-5:])
    parts = f"/api/uploads/{upload['id']}/parts"
    listed = alice.post(parts, {"after": 0})
    assert [(part["number"], part["uploaded"]) for part in listed["parts"]] == [(1, True), (2, False), (3, False)]
    assert [part["url"] is None for part in listed["parts"]] == [True, False, False]
    assert listed["next_after"] is None
    refused = complete(alice, upload)
    assert refused.status == 409
    assert "2 of 3 parts" in refused["detail"]
    assert "2, 3" in refused["detail"]
    put_parts({**upload, "parts": listed["parts"][1:]}, body)
    assert complete(alice, upload).status == 201
    assert [part["number"] for part in alice.post(parts, {"after": 1})["parts"]] == [2, 3]
    assert alice.post(parts, {"after": 3}).json["parts"] == []
    assert alice.post(parts, {"after": -1}).status == 422


def test_many_parts_are_paged(alice: Client, url: str) -> None:
    """A response has at most 1,000 parts."""
    file = {"name": "big.bin", "size_bytes": 1001 * MIN_PART, "content_type": "application/octet-stream"}
    body = {"type": "model", "name": "big", "file": file, "part_size_bytes": MIN_PART}
    upload = alice.post(url, body)["upload"]
    assert (upload["part_count"], len(upload["parts"])) == (1001, 1000)
    page = alice.post(f"/api/uploads/{upload['id']}/parts", {"after": 999})
    assert [part["number"] for part in page["parts"]] == [1000, 1001]
    first = alice.post(f"/api/uploads/{upload['id']}/parts", {})
    assert (len(first["parts"]), first["next_after"]) == (1000, 1000)


def test_empty_file(alice: Client, url: str) -> None:
    upload = start_upload(alice, url, "empty.csv", b"")
    assert upload["part_count"] == 1
    assert complete(alice, upload).status == 409
    put_parts(upload, b"")
    assert complete(alice, upload)["resource"]["artifact"]["size_bytes"] == 0


def test_url_is_bound_to_its_part(alice: Client, url: str) -> None:
    """The signature covers the upload, the number and the size of the part, and the URL lives 15 minutes."""
    upload = start_upload(alice, url)
    part = upload["parts"][0]["url"]
    assert "X-Amz-SignedHeaders=content-length%3Bhost" in part
    assert "X-Amz-Expires=900" in part
    assert "partNumber=1" in part


def test_upload_belongs_to_its_user(app: InProcessApp, alice: Client, bob: Client, project_id: str, url: str) -> None:
    """Another member of the project can neither see nor complete the upload."""
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "editor"})
    upload = start_upload(alice, url)
    put_parts(upload, BODY)
    assert bob.post(f"/api/uploads/{upload['id']}/parts", {}).status == 404
    assert complete(bob, upload).status == 404
    assert alice.post(f"/api/uploads/{uuid.uuid4()}/complete").status == 404
    assert complete(alice, upload).status == 201


@pytest.mark.parametrize("change", ["viewer", "removed", "deleted"])
def test_access_lost_meanwhile(app: InProcessApp, alice: Client, bob: Client, project_id: str, change: str) -> None:
    """Completing fails and the upload is aborted, if the role is too low or the project is gone by then."""
    url = f"/api/projects/{project_id}/resources"
    members = f"/api/projects/{project_id}/members"
    alice.post(members, {"email": bob.email, "role": "editor"})
    upload = start_upload(bob, url)
    put_parts(upload, BODY)
    match change:
        case "viewer":
            alice.post(members, {"email": bob.email, "role": "viewer"})
        case "removed":
            alice.delete(f"{members}/{bob.user_id}")
        case "deleted":
            alice.delete(f"/api/projects/{project_id}")
    assert complete(bob, upload).status == (403 if change == "viewer" else 404)
    assert app.find_uploads(project_id) == []
    assert complete(bob, upload).status == 404
    assert app.find_objects(project_id) == []
    assert app.find_broken_invariants() == []


def test_replacing_a_file(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """PUT with a file changes the resource when the upload completes. The replaced file is deleted."""
    resource = upload_file(alice, project_id, "a.csv", BODY, fields={"rows": 2})
    response = alice.put(f"{url}/{resource['id']}", describe("b.csv", BODY * 2, fields={"rows": 4}))
    assert (response.status, response["resource"]) == (200, None)
    upload = response["upload"]
    assert upload["resource_id"] == resource["id"]
    put_parts(upload, BODY * 2)
    assert alice.get(f"{url}/{resource['id']}")["resource"]["fields"] == {"rows": 2}
    changed = complete(alice, upload)["resource"]
    assert (changed["name"], changed["fields"], changed["artifact"]["size_bytes"]) == ("b.csv", {"rows": 4}, 38)
    assert app.find_objects(project_id) == [f"projects/{project_id}/datasets/{resource['id']}/b.csv"]
    assert alice.get(f"/api/projects/{project_id}")["project"]["dataset_count"] == 1
    assert app.find_broken_invariants() == []


def test_replacing_a_file_under_its_name(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """The same name is the same key: the new object is current, and deleting the resource deletes every version."""
    resource = upload_file(alice, project_id, "a.csv", BODY)
    upload = alice.put(f"{url}/{resource['id']}", describe("a.csv", BODY * 2))["upload"]
    put_parts(upload, BODY * 2)
    complete(alice, upload)
    artifact = alice.get(f"{url}/{resource['id']}")["resource"]["artifact"]
    assert download(artifact["download_url"]) == BODY * 2
    alice.delete(f"{url}/{resource['id']}")
    assert app.find_objects(project_id) == []
    assert app.find_broken_invariants() == []


def test_resource_deleted_before_its_new_file(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """A deletion is final: the upload is aborted and leaves no object."""
    resource = upload_file(alice, project_id, "a.csv", BODY)
    upload = alice.put(f"{url}/{resource['id']}", describe("b.csv", BODY))["upload"]
    put_parts(upload, BODY)
    alice.delete(f"{url}/{resource['id']}")
    assert complete(alice, upload).status == 404
    assert app.find_objects(project_id) == []
    assert alice.get(url)["items"] == []
    assert app.find_broken_invariants() == []


def test_failed_replacement_restores_the_file(
    app: InProcessApp, alice: Client, bob: Client, project_id: str, url: str
) -> None:
    """If the role is lost while S3 assembles the parts, the object that was replaced is current again."""
    members = f"/api/projects/{project_id}/members"
    alice.post(members, {"email": bob.email, "role": "editor"})
    resource = upload_file(alice, project_id, "a.csv", BODY)
    upload = bob.put(f"{url}/{resource['id']}", describe("a.csv", BODY * 2))["upload"]
    put_parts(upload, BODY * 2)
    real = artifact_upload.complete

    def complete_and_demote(*arguments: Any) -> None:
        real(*arguments)
        alice.post(members, {"email": bob.email, "role": "viewer"})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact_upload, "complete", complete_and_demote)
        assert complete(bob, upload).status == 403
    artifact = alice.get(f"{url}/{resource['id']}")["resource"]["artifact"]
    assert artifact["size_bytes"] == len(BODY)
    assert download(artifact["download_url"]) == BODY
    assert app.find_broken_invariants() == []


def test_assembling_takes_longer_than_a_request(
    app: InProcessApp, alice: Client, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response is 202 with Retry-After until S3 has assembled the parts, and a repeat returns the resource."""
    upload = start_upload(alice, url)
    put_parts(upload, BODY)

    def pending(*_: Any) -> None:
        raise artifact_upload.AssemblyPendingError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact_upload, "complete", pending)
        response = complete(alice, upload)
        assert response.status == 202
        assert int(response.headers["Retry-After"]) > 0
        assert alice.get(url)["items"] == []
    assert complete(alice, upload).status == 201


def test_slow_assembly_is_continued_by_the_recovery_job(app: InProcessApp, alice: Client, url: str) -> None:
    upload = start_upload(alice, url)
    put_parts(upload, BODY)
    with inject_fault(app, "CompleteUpload", failing_call="CompleteMultipartUpload", fault=Fault.RESPONSE_LOST):
        assert complete(alice, upload).status == 202
    app.resume_stalled()
    assert [item["id"] for item in alice.get(url)["items"]] == [upload["resource_id"]]
    assert complete(alice, upload).status == 201


@KEEPS_REPLACED_PARTS
def test_part_replaced_while_completing(alice: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 refuses a part that changed after it was listed. The client completes once more."""
    upload = start_upload(alice, url)
    put_parts(upload, BODY)
    real = artifact_upload.complete

    def replace_first(the_upload: Any, parts: Any) -> None:
        put_part(upload["parts"][0]["url"], BODY[::-1])
        real(the_upload, parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact_upload, "complete", replace_first)
        assert complete(alice, upload).status == 409
    assert complete(alice, upload).status == 201
    artifact = alice.get(f"{url}/{upload['resource_id']}")["resource"]["artifact"]
    assert download(artifact["download_url"]) == BODY[::-1]


def test_two_uploads_of_one_file(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """Of two uploads at the same key, the later one waits while the other is being completed."""
    resource = upload_file(alice, project_id, "a.csv", BODY)
    first, second = (
        alice.put(f"{url}/{resource['id']}", describe("a.csv", BODY * times))["upload"] for times in (2, 3)
    )
    put_parts(first, BODY * 2)
    put_parts(second, BODY * 3)

    def pending(*_: Any) -> None:
        raise artifact_upload.AssemblyPendingError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact_upload, "complete", pending)
        assert complete(alice, first).status == 202
    assert complete(alice, second).status == 409
    assert complete(alice, first).status == 201
    assert complete(alice, second).status == 201
    artifact = alice.get(f"{url}/{resource['id']}")["resource"]["artifact"]
    assert (artifact["size_bytes"], download(artifact["download_url"])) == (len(BODY) * 3, BODY * 3)
    assert app.find_broken_invariants() == []


def test_limits(app: InProcessApp, alice: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment limits the size of a file and the number of unfinished uploads of a user."""
    monkeypatch.setenv("MAX_UPLOAD_BYTES", "19")
    monkeypatch.setenv("MAX_OPEN_UPLOADS", "2")
    assert alice.post(url, describe("a.csv", BODY + b"x")).status == 422
    upload = start_upload(alice, url)
    start_upload(alice, url, "b.csv")
    before = len(app.find_uploads(""))
    refused = alice.post(url, describe("c.csv", BODY))
    assert refused.status == 409
    assert "2 unfinished uploads" in refused["detail"]
    assert len(app.find_uploads("")) == before
    put_parts(upload, BODY)
    complete(alice, upload)
    start_upload(alice, url, "c.csv")
    assert app.find_broken_invariants() == []


def test_unfinished_uploads_expire(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """After a week, the recovery job aborts an upload. It is not found any more, and does not count."""
    upload = start_upload(alice, url)
    put_parts(upload, BODY)
    assert upload_completion.resume_due(by=now() + timedelta(days=6)) == 0
    with app.permissions.acting_as("ResumeStalled"):
        assert upload_completion.resume_due(by=now() + timedelta(days=8)) >= 1
    assert app.find_uploads(project_id) == []
    assert complete(alice, upload).status == 404
    assert alice.post(f"/api/uploads/{upload['id']}/parts", {}).status == 404
    assert app.find_broken_invariants() == []


def test_idempotency_key(app: InProcessApp, alice: Client, url: str) -> None:
    """A repeat with the same key returns the same upload, with URLs that work."""
    body = describe("a.csv", BODY)
    first = alice.post(url, body, Idempotency_Key="k")["upload"]
    count = len(app.find_uploads(""))
    second = alice.post(url, body, Idempotency_Key="k")["upload"]
    assert (second["id"], second["resource_id"]) == (first["id"], first["resource_id"])
    assert len(app.find_uploads("")) == count
    put_parts(second, BODY)
    assert complete(alice, first).status == 201
    assert alice.post(url, describe("b.csv", BODY), Idempotency_Key="k").status == 422
    completed = alice.post(url, body, Idempotency_Key="k")["upload"]
    assert (completed["id"], completed["parts"]) == (first["id"], [])


def test_idempotency_key_of_a_replacement(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """A repeat of a PUT with a file returns the same upload. The same key for another resource starts another one."""
    resources = [upload_file(alice, project_id, name, BODY) for name in ("a.csv", "b.csv")]
    count = len(app.find_uploads(""))
    first, second, other = (
        alice.put(f"{url}/{resource['id']}", describe("c.csv", BODY), Idempotency_Key="k")["upload"]
        for resource in (resources[0], resources[0], resources[1])
    )
    assert first["id"] == second["id"] != other["id"]
    assert len(app.find_uploads("")) == count + 2
    put_parts(second, BODY)
    assert complete(alice, first)["resource"]["id"] == resources[0]["id"]
    body = describe("d.csv", BODY)
    assert alice.put(f"{url}/{resources[0]['id']}", body, Idempotency_Key="k").status == 422
