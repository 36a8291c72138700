"""Demo data of `make run`: two users, and a project with resources.

The data is created as in production: users by the operators' functions, the project through the API, files in the
artifacts bucket and resources by events on the bus.
"""

import io
import json
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import requests

from local.function_runner import FunctionRunner
from local.stack import Stack

#: Names of the demo users by nickname.
USERS = {"alice": "Alice Archer", "bob": "Bob Baker"}

#: How long to wait until the events are recorded, in seconds.
EVENTS_TIMEOUT = 10

#: The timeout of a request, in seconds. A busy machine needs time to start the first functions.
REQUEST_TIMEOUT = 120


def seed_demo_data(base_url: str, stack: Stack, functions: FunctionRunner) -> dict[str, dict[str, str]]:
    """Register Alice and Bob with an API key each, and create a project of Alice with resources.

    Args:
        base_url: The URL of the API.
        stack: The running stack.
        functions: The functions of the stack.

    Returns:
        For each nickname: ``user_id``, ``email`` and ``api_key``.

    Raises:
        requests.HTTPError: The project was not created.
    """
    users = {}
    for nick, name in USERS.items():
        email = f"{nick}@example.com"
        user = functions.invoke("RegisterUser", {"email": email, "name": name})
        key = functions.invoke("CreateApiKey", {"email": email, "scopes": ["read", "write"]})
        users[nick] = {"user_id": user["user_id"], "email": email, "api_key": key["api_key"]}
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {users['alice']['api_key']}"
    project = {"name": "Card fraud", "description": "Which card payments are fraudulent? A demo project."}
    response = session.post(f"{base_url}/api/projects", json=project, timeout=REQUEST_TIMEOUT)
    response.raise_for_status()
    project_id = response.json()["project_id"]
    resources = _demo_resources()
    _upload_files(stack, project_id, resources)
    _publish_events(stack, project_id, resources)
    for _ in range(EVENTS_TIMEOUT * 20):
        response = session.get(f"{base_url}/api/projects/{project_id}/timeline", timeout=REQUEST_TIMEOUT)
        if len(response.json().get("events", [])) == len(resources):
            return users
        time.sleep(0.05)
    raise TimeoutError(f"The events of the demo project were not recorded within {EVENTS_TIMEOUT} s")


def _demo_resources() -> list[dict[str, Any]]:
    """Return a dataset, an experiment, a model and a report. Those with a file have its bytes as ``file``."""
    generator = random.Random(2026)  # noqa: S311 - the same demo data each time
    rows = 2_000
    csv = io.StringIO()
    csv.write("amount,hour,country,fraud\n")
    for _ in range(rows):
        amount, hour, country = generator.lognormvariate(3, 1), generator.randrange(24), generator.choice("DFNS")
        csv.write(f"{amount:.2f},{hour},{country},{not generator.randrange(50):d}\n")
    report = "# Card fraud\n\nGradient boosting finds 91 % of the fraud at a precision of 84 %.\n"
    return [
        {"type": "Dataset", "name": "transactions.csv", "rows": rows, "columns": 4,
         "content_type": "text/csv", "file": csv.getvalue().encode()},
        {"type": "Experiment", "name": "baseline", "status": "completed", "target_column": "fraud",
         "problem_type": "classification", "best_model_type": "gradient_boosting", "duration": 84.5},
        {"type": "Model", "name": "gradient-boosting.bin", "framework": "lightgbm",
         "content_type": "application/octet-stream", "file": generator.randbytes(250_000)},
        {"type": "Report", "name": "report.md", "content_type": "text/markdown", "file": report.encode()},
    ]  # fmt: skip


def _upload_files(stack: Stack, project_id: str, resources: list[dict[str, Any]]) -> None:
    """Give every resource an id, and replace its ``file`` by an ``artifact`` in the bucket, with a CRC-32."""
    s3 = boto3.client("s3")
    for resource in resources:
        resource["id"] = str(uuid.uuid4())
        content_type, body = resource.pop("content_type", None), resource.pop("file", None)
        if body is None:
            continue
        key = f"projects/{project_id}/{resource['type'].lower()}s/{resource['id']}/{resource['name']}"
        s3.put_object(Bucket=stack.artifacts, Key=key, Body=body, ContentType=content_type, ChecksumAlgorithm="CRC32")
        resource["artifact"] = {"key": key, "content_type": content_type}


def _publish_events(stack: Stack, project_id: str, resources: list[dict[str, Any]]) -> None:
    """Publish a "Created" event for each resource, as the services that own the resources do."""
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
    boto3.client("events").put_events(Entries=entries)  # type: ignore[arg-type]  # a TypedDict is a dict at run time
