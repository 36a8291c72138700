"""Sessions with the running stack, which need only `.local/stack.json`."""

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


def wait_until(condition: Callable[[], Any]) -> None:
    """Wait until the condition is true. The time limit is far above what even a busy machine needs."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "The condition did not become true in time."
        time.sleep(0.05)


def verify_archive(archive: bytes) -> dict[str, Any]:
    """Verify every file of an archive against the manifest, and return the manifest."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        manifest: dict[str, Any] = json.loads(opened.read("manifest.json"))
        assert opened.namelist() == ["manifest.json", *(file["path"] for file in manifest["files"])]
        for file in manifest["files"]:
            data = opened.read(file["path"])
            assert (len(data), zlib.crc32(data)) == (file["size"], int(file["crc32"], 16))
    return manifest


def publish_event(stack: RunningStack, project_id: str, kind: str, resource: dict[str, Any]) -> None:
    detail = {"project_id": project_id, "occurred_at": "2026-02-12T08:00:00Z", "resource": resource}
    entry = {
        "EventBusName": stack.bus,
        "Source": "mlplatform.tests",
        "DetailType": f"{kind} Created",
        "Detail": json.dumps(detail),
    }
    stack.aws("events").put_events(Entries=[entry])


def store_artifact(stack: RunningStack, project_id: str, name: str, body: bytes) -> dict[str, str]:
    key = f"projects/{project_id}/{name}"
    stack.aws("s3").put_object(Bucket=stack.buckets["artifacts"], Key=key, Body=body)
    return {"key": key, "content_type": "text/csv"}


def test_demo_project(alice: Client) -> None:
    (project,) = alice.get("/api/projects?search=card%20fraud")["items"]
    counts = (project["dataset_count"], project["experiment_count"], project["model_count"])
    assert counts == (1, 1, 1)
    events = alice.get(f"/api/projects/{project['id']}/timeline")["events"]
    assert [event["type"] for event in events] == ["dataset", "experiment", "model", "report"]
    response = alice.get(f"/api/projects/{project['id']}/export")
    assert response.status == 200
    assert len(verify_archive(response.body)["files"]) == 3


def test_session(stack: RunningStack, alice: Client, bob: Client) -> None:
    project_id = alice.create("Churn", description="Who leaves?")
    path = f"/api/projects/{project_id}"
    alice.put(path, {"name": "Churn 2"})
    assert bob.get(path).status == 404
    assert alice.post(f"{path}/members", {"email": bob.email, "role": "viewer"}).status == 201
    assert bob.get(path)["project"]["role"] == "viewer"
    assert bob.put(path, {"name": "n"}).status == 403

    resource_id = str(uuid.uuid4())
    artifact = store_artifact(stack, project_id, f"datasets/{resource_id}/customers.csv", b"id,left\n" * 1000)
    publish_event(stack, project_id, "Dataset", {"id": resource_id, "name": "customers.csv", "rows": 1000, "columns": 2,
                                            "artifact": artifact})  # fmt: skip
    wait_until(lambda: alice.get(f"{path}/timeline")["events"])
    (event,) = alice.get(f"{path}/timeline")["events"]
    assert event == {"id": resource_id, "type": "dataset", "name": "customers.csv",
                     "timestamp": "2026-02-12T08:00:00Z", "rows": 1000, "columns": 2}  # fmt: skip
    assert alice.get(path)["project"]["dataset_count"] == 1

    manifest = verify_archive(bob.get(f"{path}/export").body)
    assert [file["size"] for file in manifest["files"]] == [8000]

    alice.get(f"{path}/export")
    assert alice.delete(path).json == {"ok": True}
    assert bob.get(path).status == 404

    def find_leftovers() -> list[Any]:
        items = [
            item
            for page in stack.aws("dynamodb").get_paginator("scan").paginate(TableName=stack.table)
            for item in page["Items"]
            if project_id in json.dumps(item)
        ]
        for bucket in stack.buckets.values():
            listed = stack.aws("s3").list_object_versions(Bucket=bucket)
            versions = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
            items += [version for version in versions if project_id in version["Key"]]
        return items

    wait_until(lambda: not find_leftovers())


def test_large_archive_redirects(stack: RunningStack, alice: Client) -> None:
    project_id = alice.create("Large")
    body = bytes(range(256)) * 4096 * 24
    artifact = store_artifact(stack, project_id, "models/m.bin", body)
    publish_event(stack, project_id, "Model", {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    wait_until(lambda: alice.get(f"/api/projects/{project_id}/timeline")["events"])
    url = f"{stack.description['base_url']}/api/projects/{project_id}/export"
    authorization = {"Authorization": f"Bearer {alice.api_key}"}
    response = requests.get(url, headers=authorization, timeout=60)
    assert [step.status_code for step in response.history][-1] == 302
    assert verify_archive(response.content)["files"][0]["size"] == len(body)
    description = requests.get(url, headers=authorization | {"Accept": "application/json"}, timeout=60)
    assert description.status_code == 200
    part = requests.get(description.json()["export"]["download_url"], headers={"Range": "bytes=0-3"}, timeout=60)
    assert (part.status_code, part.content) == (206, b"PK\x03\x04")
    assert 'filename="Large.zip"' in part.headers["Content-Disposition"]


def test_concurrent_requests_share_one_export(stack: RunningStack, alice: Client) -> None:
    project_id = alice.create("Popular")
    responses: list[Any] = []
    threads = [
        threading.Thread(target=lambda: responses.append(alice.get(f"/api/projects/{project_id}/export")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {response.status for response in responses} == {200}
    assert len({response.body for response in responses}) == 1
    assert len(alice.get(f"/api/projects/{project_id}/exports")["items"]) == 1


def test_documentation_is_public(stack: RunningStack) -> None:
    anonymous = Client(stack.send)
    document = anonymous.get("/api/openapi.json")
    assert "/api/projects/{project_id}/export" in document["paths"]
    page = anonymous.get("/api/docs")
    assert page.status == 200
    assert b"openapi.json" in page.body


def test_unknown_routes(stack: RunningStack, alice: Client) -> None:
    assert alice.get("/api/nothing").status == 404
    assert alice.request("PATCH", "/api/projects").status == 404
    assert alice.request("HEAD", "/api/projects").status == 404
    assert Client(stack.send).get("/api/projects").status == 401
