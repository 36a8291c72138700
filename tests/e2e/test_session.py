"""A stranger's session with the running stack, through ``.local/stack.json`` alone."""

import io
import json
import threading
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import requests

from tests.support.api_client import Client
from tests.support.running_stack import RunningStack

MIB = 1 << 20


def eventually(true: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)


def verified(archive: bytes) -> dict[str, Any]:
    """The manifest of an archive whose every file is what the manifest says."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        manifest: dict[str, Any] = json.loads(opened.read("manifest.json"))
        assert opened.namelist() == ["manifest.json", *(file["path"] for file in manifest["files"])]
        for file in manifest["files"]:
            data = opened.read(file["path"])
            assert (len(data), zlib.crc32(data)) == (file["size"], int(file["crc32"], 16))
    return manifest


def announce(stack: RunningStack, project_id: str, kind: str, resource: dict[str, Any]) -> None:
    detail = {"project_id": project_id, "occurred_at": "2026-02-12T08:00:00Z", "resource": resource}
    entry = {
        "EventBusName": stack.bus,
        "Source": "mlplatform.tests",
        "DetailType": f"{kind} Created",
        "Detail": json.dumps(detail),
    }
    stack.aws("events").put_events(Entries=[entry])


def store(stack: RunningStack, project_id: str, name: str, body: bytes) -> dict[str, str]:
    key = f"projects/{project_id}/{name}"
    stack.aws("s3").put_object(Bucket=stack.buckets["artifacts"], Key=key, Body=body)
    return {"key": key, "content_type": "text/csv"}


def test_the_demo_project_is_there_with_its_resources_and_its_archive(alice: Client) -> None:
    (project,) = alice.get("/api/projects")["items"]
    counts = (project["dataset_count"], project["experiment_count"], project["model_count"])
    assert counts == (1, 1, 1)
    events = alice.get(f"/api/projects/{project['id']}/timeline")["events"]
    assert [event["type"] for event in events] == ["dataset", "experiment", "model", "report"]
    answer = alice.get(f"/api/projects/{project['id']}/export")
    assert answer.status == 200
    assert len(verified(answer.body)["files"]) == 3


def test_a_session_from_creating_to_deleting(stack: RunningStack, alice: Client, bob: Client) -> None:
    project_id = alice.create("Churn", description="Who leaves?")
    path = f"/api/projects/{project_id}"
    alice.put(path, {"name": "Churn 2"})
    assert bob.get(path).status == 404
    assert alice.post(f"{path}/members", {"email": bob.email, "role": "viewer"}).status == 201
    assert bob.get(path)["project"]["role"] == "viewer"
    assert bob.put(path, {"name": "n"}).status == 403

    resource_id = str(uuid.uuid4())
    artifact = store(stack, project_id, f"datasets/{resource_id}/customers.csv", b"id,left\n" * 1000)
    announce(stack, project_id, "Dataset", {"id": resource_id, "name": "customers.csv", "rows": 1000, "columns": 2,
                                            "artifact": artifact})  # fmt: skip
    eventually(lambda: alice.get(f"{path}/timeline")["events"], 1)
    (event,) = alice.get(f"{path}/timeline")["events"]
    assert event == {"id": resource_id, "type": "dataset", "name": "customers.csv",
                     "timestamp": "2026-02-12T08:00:00Z", "rows": 1000, "columns": 2}  # fmt: skip
    assert alice.get(path)["project"]["dataset_count"] == 1

    manifest = verified(bob.get(f"{path}/export").body)
    assert [file["size"] for file in manifest["files"]] == [8000]

    alice.get(f"{path}/export")
    assert alice.delete(path).json == {"ok": True}
    assert bob.get(path).status == 404

    def left() -> list[Any]:
        items = [
            item
            for page in stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.table)
            for item in page["Items"]
            if project_id in json.dumps(item)
        ]
        for bucket in stack.buckets.values():
            listed = stack.aws("s3").list_object_versions(Bucket=bucket)
            found = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
            items += [one for one in found if project_id in one["Key"]]
        return items

    eventually(lambda: not left(), 15)


def test_a_large_archive_comes_by_redirects_that_a_plain_client_follows(stack: RunningStack, alice: Client) -> None:
    project_id = alice.create("Large")
    body = bytes(range(256)) * 4096 * 24
    artifact = store(stack, project_id, "models/m.bin", body)
    announce(stack, project_id, "Model", {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    eventually(lambda: alice.get(f"/api/projects/{project_id}/timeline")["events"], 1)
    url = f"{stack.description['base_url']}/api/projects/{project_id}/export"
    key = {"Authorization": f"Bearer {alice.api_key}"}
    answer = requests.get(url, headers=key, timeout=60)
    assert [step.status_code for step in answer.history][-1] == 302
    assert verified(answer.content)["files"][0]["size"] == len(body)
    described = requests.get(url, headers=key | {"Accept": "application/json"}, timeout=60)
    assert described.status_code == 200
    part = requests.get(described.json()["export"]["download_url"], headers={"Range": "bytes=0-3"}, timeout=60)
    assert (part.status_code, part.content) == (206, b"PK\x03\x04")
    assert 'filename="Large.zip"' in part.headers["Content-Disposition"]


def test_many_ask_at_once_and_one_archive_is_made(stack: RunningStack, alice: Client) -> None:
    project_id = alice.create("Popular")
    answers: list[Any] = []
    askers = [
        threading.Thread(target=lambda: answers.append(alice.get(f"/api/projects/{project_id}/export")))
        for _ in range(8)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len(alice.get(f"/api/projects/{project_id}/exports")["items"]) == 1


def test_the_document_and_its_page_come_without_a_key(stack: RunningStack) -> None:
    nobody = Client(stack.send)
    document = nobody.get("/api/openapi.json")
    assert "/api/projects/{project_id}/export" in document["paths"]
    page = nobody.get("/api/docs")
    assert page.status == 200
    assert b"openapi.json" in page.body


def test_what_nobody_serves_is_not_found(stack: RunningStack, alice: Client) -> None:
    assert alice.get("/api/nothing").status == 404
    assert alice.request("PATCH", "/api/projects").status == 404
    assert alice.request("HEAD", "/api/projects").status == 404
    assert Client(stack.send).get("/api/projects").status == 401
