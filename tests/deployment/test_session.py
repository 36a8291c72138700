"""A session with the deployed stack: its gateway, bus, queues and functions."""

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable

import pytest

from local.stack import STACK
from tests.support.api_client import Client
from tests.support.aws_emulator import DeployedStack

#: How long an effect of a message may take, in seconds.
TIMEOUT = 60


@pytest.fixture(scope="module")
def alice(deployed: DeployedStack) -> Client:
    return deployed.create_user("alice")


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_session(deployed: DeployedStack, alice: Client) -> None:
    assert Client(alice.send).get("/api/projects").status == 401
    assert Client(alice.send, alice.api_key[:-1] + "_").get("/api/projects").status == 403
    project_id = alice.create("Demand", description="How much will be sold?")
    path = f"/api/projects/{project_id}"
    bob = deployed.create_user("bob")
    assert alice.post(f"{path}/members", {"email": bob.email}).status == 201

    key = f"projects/{project_id}/datasets/sales.csv"
    s3, artifacts = deployed.aws("s3"), deployed.outputs["ArtifactsBucketName"]
    s3.put_object(Bucket=artifacts, Key=key, Body=b"day,sold\n" * 1000, ChecksumAlgorithm="CRC32")
    resource = {"id": str(uuid.uuid4()), "name": "sales.csv", "artifact": {"key": key, "content_type": "text/csv"}}
    detail = {"project_id": project_id, "occurred_at": "2026-02-12T08:00:00Z", "resource": resource}
    entry = {"EventBusName": deployed.outputs["BusName"], "Source": "mlplatform.datasets"}
    deployed.aws("events").put_events(Entries=[entry | {"DetailType": "Dataset Created", "Detail": json.dumps(detail)}])
    wait_until(lambda: bob.get(f"{path}/timeline")["events"])

    assert bob.get(f"{path}/export", Accept="application/json").status in {200, 202}
    wait_until(lambda: bob.get(f"{path}/export", Accept="application/json").status == 200)
    archive = bob.get(f"{path}/export")
    assert archive.status == 200, archive
    with zipfile.ZipFile(io.BytesIO(archive.body)) as opened:
        assert opened.testzip() is None
        manifest = json.loads(opened.read("manifest.json"))
    assert [file["size"] for file in manifest["files"]] == [9000]

    assert alice.delete(path).json == {"ok": True}
    assert alice.get(path).status == 404
    table = deployed.outputs["TableName"]
    wait_until(
        lambda: (
            not any(project_id in json.dumps(item) for item in deployed.aws("dynamodb").scan(TableName=table)["Items"])
        )
    )
    versions = s3.list_object_versions(Bucket=artifacts)
    assert "Versions" not in versions
    assert "DeleteMarkers" not in versions


def test_event_for_unknown_project_is_rejected(deployed: DeployedStack) -> None:
    detail = {"project_id": str(uuid.uuid4()), "resource": {"id": str(uuid.uuid4()), "name": "m"}}
    entry = {"EventBusName": STACK, "Source": "mlplatform.models", "DetailType": "Model Created"}
    deployed.aws("events").put_events(
        Entries=[entry | {"Detail": json.dumps(detail | {"occurred_at": "2026-02-12T08:00:00Z"})}]
    )
    reasons: list[str] = []

    def receive_reasons() -> bool:
        messages = deployed.aws("sqs").receive_message(
            QueueUrl=deployed.outputs["EventsDeadLettersUrl"], MessageAttributeNames=["All"]
        )
        reasons.extend(
            message["MessageAttributes"]["reason"]["StringValue"] for message in messages.get("Messages", [])
        )
        return bool(reasons)

    wait_until(receive_reasons)
    assert reasons == ["detail.project_id: there is no such project, or it has been deleted"]
