"""The demo users and the demo project, put in through the doors that everybody uses."""

import io
import json
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import requests

from local.function_runner import Functions
from local.stack import Stack

PEOPLE = {"alice": "Alice Archer", "bob": "Bob Baker"}
EVENTS_PATIENCE = 10
TIMEOUT = 120  # in seconds; a machine that is busy takes its time to start the first functions


def seed(base_url: str, stack: Stack, functions: Functions) -> dict[str, dict[str, str]]:
    """Registers Alice and Bob with a key each, and gives Alice a project with resources.

    Returns:
        Per user: ``user_id``, ``email`` and ``api_key``.
    """
    users = {}
    for nick, name in PEOPLE.items():
        email = f"{nick}@example.com"
        user = functions.invoke("RegisterUser", {"email": email, "name": name})
        key = functions.invoke("CreateApiKey", {"email": email, "scopes": ["read", "write"]})
        users[nick] = {"user_id": user["user_id"], "email": email, "api_key": key["api_key"]}
    api = requests.Session()
    api.headers["Authorization"] = f"Bearer {users['alice']['api_key']}"
    project = {"name": "Card fraud", "description": "Which card payments are fraudulent? A demo project."}
    answer = api.post(f"{base_url}/api/projects", json=project, timeout=TIMEOUT)
    answer.raise_for_status()
    project_id = answer.json()["project_id"]
    resources = _resources()
    _store(stack, project_id, resources)
    _announce(stack, project_id, resources)
    for _ in range(EVENTS_PATIENCE * 20):
        answer = api.get(f"{base_url}/api/projects/{project_id}/timeline", timeout=TIMEOUT)
        if len(answer.json().get("events", [])) == len(resources):
            break
        time.sleep(0.05)
    return users


def _resources() -> list[dict[str, Any]]:
    """The demo's dataset, experiment, model and report; those with a file have its bytes as ``file``."""
    chance = random.Random(2026)  # noqa: S311 - the same demo each time
    rows = 2_000
    csv = io.StringIO()
    csv.write("amount,hour,country,fraud\n")
    for _ in range(rows):
        amount, hour, country = chance.lognormvariate(3, 1), chance.randrange(24), chance.choice("DFNS")
        csv.write(f"{amount:.2f},{hour},{country},{not chance.randrange(50):d}\n")
    report = "# Card fraud\n\nGradient boosting finds 91 % of the fraud at a precision of 84 %.\n"
    return [
        {"type": "Dataset", "name": "transactions.csv", "rows": rows, "columns": 4,
         "content_type": "text/csv", "file": csv.getvalue().encode()},
        {"type": "Experiment", "name": "baseline", "status": "completed", "target_column": "fraud",
         "problem_type": "classification", "best_model_type": "gradient_boosting", "duration": 84.5},
        {"type": "Model", "name": "gradient-boosting.bin", "framework": "lightgbm",
         "content_type": "application/octet-stream", "file": chance.randbytes(250_000)},
        {"type": "Report", "name": "report.md", "content_type": "text/markdown", "file": report.encode()},
    ]  # fmt: skip


def _store(stack: Stack, project_id: str, resources: list[dict[str, Any]]) -> None:
    """Puts the files into the artifacts bucket, where S3 keeps their CRC-32s."""
    s3 = boto3.client("s3")
    for resource in resources:
        resource["id"] = str(uuid.uuid4())
        content_type, body = resource.pop("content_type", None), resource.pop("file", None)
        if body is None:
            continue
        key = f"projects/{project_id}/{resource['type'].lower()}s/{resource['id']}/{resource['name']}"
        s3.put_object(Bucket=stack.artifacts, Key=key, Body=body, ContentType=content_type, ChecksumAlgorithm="CRC32")
        resource["artifact"] = {"key": key, "content_type": content_type}


def _announce(stack: Stack, project_id: str, resources: list[dict[str, Any]]) -> None:
    """Puts the events on the bus, as the services that own the resources do."""
    start = datetime.now(UTC) - timedelta(hours=len(resources))
    entries = []
    for number, resource in enumerate(resources):
        type_ = resource.pop("type")
        detail = {
            "project_id": project_id,
            "occurred_at": (start + timedelta(hours=number)).isoformat(timespec="seconds"),
            "resource": resource,
        }
        entries.append(
            {
                "EventBusName": stack.bus,
                "Source": f"mlplatform.{type_.lower()}s",
                "DetailType": f"{type_} Created",
                "Detail": json.dumps(detail),
            }
        )
    boto3.client("events").put_events(Entries=entries)  # type: ignore[arg-type]  # a dict is one
