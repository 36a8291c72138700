"""The promises of `make run` that are not the API's: its description, web pages, signed URLs, and dead processes."""

import json
import os
import re
import signal
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests

from local.stack import ROOT, STACK
from tests.e2e.test_session import publish_event, store_artifact, wait_until
from tests.e2e.test_start import list_descendants
from tests.support.api_client import Client
from tests.support.running_stack import RunningStack

ORIGIN = {"Origin": "https://app.example.com"}


def test_description(stack: RunningStack) -> None:
    """`stack.json` has exactly the promised names, and they lead to the resources."""
    description = stack.description
    assert set(description) == {"base_url", "endpoint_url", "region", "table", "bus", "buckets", "users"}
    assert set(description["buckets"]) == {"artifacts", "exports"}
    assert {nick: user["email"] for nick, user in description["users"].items()} == {
        "alice": "alice@example.com",
        "bob": "bob@example.com",
    }
    for nick, user in description["users"].items():
        assert set(user) == {"user_id", "email", "api_key"}
        response = requests.get(
            f"{description['base_url']}/api/projects",
            headers={"Authorization": f"Bearer {user['api_key']}"},
            timeout=30,
        )
        assert response.status_code == 200, nick
    assert stack.aws("dynamodb").describe_table(TableName=stack.table)["Table"]["TableStatus"] == "ACTIVE"
    assert stack.aws("events").describe_event_bus(Name=stack.bus)["Arn"].split(":")[3] == description["region"]
    for bucket in stack.buckets.values():
        location = stack.aws("s3").get_bucket_location(Bucket=bucket)["LocationConstraint"]
        assert location in {description["region"], None}  # SeaweedFS has no regions


def test_outputs(stack: RunningStack) -> None:
    """The local stack has every output that a command in a how-to guide reads by `out`."""
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "how-to").glob("*.md"))
    (described,) = stack.aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    assert set(re.findall(r"[(`]out (\w+)[)`]", pages)) <= outputs.keys()
    assert outputs["TableName"] == stack.table
    response = stack.aws("lambda").invoke(FunctionName=outputs["ListUsersFunction"], Payload="{}")
    assert [user["name"] for user in json.loads(response["Payload"].read())["items"]][:2] == [
        "Alice Archer",
        "Bob Baker",
    ]


def test_welcome(stack: RunningStack) -> None:
    """The welcome names both keys, and its curl line works as pasted."""
    text = (stack.folder / "log").read_text()
    for nick, user in stack.description["users"].items():
        assert f"{nick:6} {user['api_key']}\n" in text
    (command,) = (line for line in text.splitlines() if line.strip().startswith("curl "))
    result = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=True)
    assert {project["name"] for project in json.loads(result.stdout)["items"]} >= {"Card fraud"}


def test_web_page_of_another_origin(stack: RunningStack, alice: Client) -> None:
    """It may call the API, and not the stand-in for AWS."""
    url = f"{stack.description['base_url']}/api/projects"
    for method in ("GET", "POST", "PUT", "DELETE"):
        headers = ORIGIN | {
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        preflight = requests.options(url, headers=headers, timeout=30)
        assert preflight.status_code == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
        assert method in preflight.headers["Access-Control-Allow-Methods"].split(",")
    response = requests.get(url, headers=ORIGIN | {"Authorization": f"Bearer {alice.api_key}"}, timeout=30)
    assert response.headers["Access-Control-Allow-Origin"] == "*"

    endpoint = stack.description["endpoint_url"]
    for path, method in (("/", "POST"), (f"/{stack.buckets['exports']}/k", "GET"), ("/moto-api/reset", "POST")):
        headers = ORIGIN | {"Access-Control-Request-Method": method}
        assert requests.options(endpoint + path, headers=headers, timeout=30).status_code == 403
    for query in ("", "?X-Amz-Signature=0"):
        assert requests.post(f"{endpoint}/moto-api/reset{query}", headers=ORIGIN, timeout=30).status_code == 403
    assert alice.get("/api/projects").status == 200


@pytest.mark.memory
def test_signed_url_with_authorization_header(stack: RunningStack, alice: Client) -> None:
    """As from S3. A client that follows the redirect with its API key has to learn of it before it is deployed."""
    project_id = alice.create("Signed")
    artifact = store_artifact(stack, project_id, "models/m.bin", bytes(5 << 20))
    publish_event(stack, project_id, "Model", {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    wait_until(lambda: alice.get(f"/api/projects/{project_id}/timeline")["events"])
    path = f"/api/projects/{project_id}/export"
    wait_until(lambda: alice.get(path, Accept="application/json").status == 200)
    url = alice.get(path, Accept="application/json")["export"]["download_url"]
    rejected = requests.get(url, headers={"Authorization": f"Bearer {alice.api_key}"}, timeout=30)
    assert rejected.status_code == 400
    assert "Only one auth mechanism allowed" in rejected.text
    assert alice.api_key not in rejected.text
    assert requests.get(url, timeout=30).status_code == 200
    assert alice.delete(f"/api/projects/{project_id}").status == 200


def test_request_ids(stack: RunningStack, alice: Client) -> None:
    """Every request has an id of its own, in the response and in the functions' log."""
    ids = {alice.get("/api/projects").headers["Apigw-Requestid"] for _ in range(3)}
    assert len(ids) == 3
    log = stack.folder / "functions.log"
    wait_until(lambda: all(f'"{request_id}"' in log.read_text() for request_id in ids))


def test_event_of_another_program(stack: RunningStack, alice: Client) -> None:
    """An event put by another program, with a plain boto3 client of `stack.json`, is recorded."""
    project_id = alice.create("Events")
    events: Any = boto3.client(
        "events",
        endpoint_url=stack.description["endpoint_url"],
        region_name=stack.description["region"],
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    path = f"/api/projects/{project_id}/timeline"
    for count in (1, 2, 3):
        resource = {"id": str(uuid.uuid4()), "name": "n", "rows": 1, "columns": 1}
        detail = {"project_id": project_id, "occurred_at": "2026-02-10T09:00:00Z", "resource": resource}
        entry = {"Source": "mlplatform.datasets", "DetailType": "Dataset Created", "Detail": json.dumps(detail)}
        assert events.put_events(Entries=[entry | {"EventBusName": stack.bus}])["FailedEntryCount"] == 0
        wait_until(lambda count=count: len(alice.get(path)["events"]) == count)  # type: ignore[misc]  # mypy cannot infer the lambda
    assert alice.delete(f"/api/projects/{project_id}").status == 200


def find_fork_server(stack: RunningStack) -> int:
    """Return the id of the process that all execution environments are forked from."""
    children = [pid for pid in list_descendants(stack.process.pid) if list_descendants(pid)]
    (fork_server,) = [pid for pid in children if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return fork_server


@pytest.mark.parametrize("victim", ["functions", "fork server"])
def test_killed_function_processes(stack: RunningStack, alice: Client, victim: str) -> None:
    """Dead processes are not used: after `kill -9`, every request succeeds, also many in parallel."""
    path = "/api/projects"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: alice.get(path), range(8)))
        fork_server = find_fork_server(stack)
        processes = list_descendants(fork_server) if victim == "functions" else [fork_server]
        assert processes
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        statuses = [response.status for response in pool.map(lambda _: alice.get(path), range(24))]
    assert statuses == [200] * 24
