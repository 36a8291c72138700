"""Logs and metrics: each line names its request, and no line reveals a secret."""

import contextlib
import io
import json
import logging
import re
import traceback
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from local.stack import ROOT, STACK
from local.template import load_template
from projects_api.domain import users
from projects_api.domain.exports import export_requests
from projects_api.entities.clock import now
from projects_api.storage import clients
from projects_api.storage.dynamodb import user_store
from projects_api.telemetry import Metric
from tests.support.api_client import Client
from tests.support.fault_injection import Fault, inject_fault
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.memory("about log lines, which no engine writes")

#: An email address, an API key or a presigned URL. No log line may contain one.
SECRETS = re.compile(r"[\w.-]+@[\w-]+\.\w+|prj_|X-Amz-Signature|X-Amz-Credential|AWSAccessKeyId", re.IGNORECASE)


@pytest.fixture(autouse=True)
def no_export_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_requests, "WAIT", 0.0)


@contextlib.contextmanager
def capture_logs() -> Iterator[list[str]]:
    """Capture the lines that functions and their libraries log in the block, as Lambda keeps them."""
    lines: list[str] = []
    output, root = io.StringIO(), logging.getLogger()
    root_handler = logging.StreamHandler(output)
    root_handler.addFilter(lambda record: record.name.startswith(("boto", "urllib3", "projects_api")))
    handlers = [
        handler for handler in logging.getLogger("projects").handlers if isinstance(handler, logging.StreamHandler)
    ]
    assert handlers
    streams = [handler.setStream(output) for handler in handlers]
    root.addHandler(root_handler)
    try:
        with contextlib.redirect_stdout(output):
            yield lines
    finally:
        root.removeHandler(root_handler)
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream)
        lines += output.getvalue().splitlines()


def invoke_and_fail(app: InProcessApp, function: str, event: Any) -> None:
    """Invoke a function that raises an error, and print the error as Lambda logs it."""
    with pytest.raises(Exception) as failure:  # noqa: PT011 - Lambda logs an error of any type
        app.invoke(function, event)
    trace = "".join(traceback.format_exception(failure.value))
    print(json.dumps({"errorType": failure.typename, "errorMessage": str(failure.value), "stackTrace": trace}))


def run_session(app: InProcessApp) -> list[Client]:
    """Call every route and every job, successfully and not, and return the users."""
    app.process_queues()
    app.take_dead_letters()  # of earlier tests
    alice, bob = app.create_user("alice"), app.create_user("bob")
    project_id = alice.create("Project")
    url = f"/api/projects/{project_id}"
    alice.post("/api/projects", {"name": "New"}, Idempotency_Key=alice.email)
    for path in ("/api/projects", "/api/projects?search=a@example.com", url, f"{url}/members", f"{url}/timeline"):
        assert alice.get(path).status == 200
    alice.put(url, {"name": alice.email, "description": f"{alice.api_key} {bob.email}"})
    alice.post(f"{url}/members", {"email": bob.email})
    alice.post(f"{url}/members", {"email": "nobody@example.com"})
    alice.post(f"{url}/members", {"email": "no-address", "role": bob.email})
    alice.request("POST", f"{url}/members", body=f"{{{bob.email}".encode())
    bob.delete(f"{url}/members/{alice.user_id}")
    bob.delete(f"{url}/members/{bob.email}")
    bob.get(f"/api/projects/{bob.email}")
    bob.delete(f"{url}/members/{bob.user_id}")
    Client(app.send, alice.api_key[:-1] + "_").get(url)
    Client(app.send).get(url, Authorization=f"Basic {alice.api_key}")
    artifact = app.store_artifact(project_id, "datasets/a@example.com", b"a")
    app.publish_event("Dataset Created", project_id, {"id": str(uuid.uuid4()), "name": bob.email, "artifact": artifact})
    app.publish_event("Dataset Created", project_id, {"id": bob.email, "name": alice.api_key})
    app.publish_event("Dataset Created", str(uuid.uuid4()), {"id": str(uuid.uuid4()), "name": "late"})
    app.process_queues()
    export_id = alice.post(f"{url}/exports")["export"]["id"]
    app.process_queues()
    app.invoke("ScheduleExports", {})
    app.process_queues()
    for path in ("/export", "/exports", f"/exports/{export_id}"):
        for accept in ("application/json", "*/*"):
            assert alice.get(url + path, Accept=accept).status == 200
    app.invoke("ResumeStalled", {})
    invoke_and_fail(app, "RegisterUser", {"email": "no address", "name": "B"})
    invoke_and_fail(app, "RegisterUser", {"email": [bob.email]})
    invoke_and_fail(app, "CreateApiKey", {"email": "nobody@example.com", "scopes": ["read"]})
    invoke_and_fail(app, "CreateApiKey", {"email": bob.email, "scopes": [bob.email]})
    invoke_and_fail(app, "RevokeApiKey", {"key_id": bob.api_key})
    app.invoke("RevokeApiKey", {"key_id": bob.api_key.split("_")[1]})
    for fault in (Fault.ACCESS_DENIED, Fault.FAILED, Fault.NO_RESPONSE):
        for function, action in (
            ("AddMember", partial(alice.post, f"{url}/members", {"email": bob.email})),
            ("CreateProject", partial(alice.post, "/api/projects", {"name": bob.email})),
        ):
            with inject_fault(app, function, failing_call=0, fault=fault):
                assert action().status >= 500
        with inject_fault(app, "RegisterUser", failing_call=0, fault=fault):
            invoke_and_fail(app, "RegisterUser", {"email": "carol@example.com", "name": "Carol"})
    alice.delete(url)
    app.process_queues()
    assert len(app.take_dead_letters()) == 2
    return [alice, bob]


def test_session_logs(app: InProcessApp) -> None:
    """No line reveals a secret, and every message names its function, request, route and user."""
    with capture_logs() as lines:
        users = run_session(app)
    assert len(lines) > 60
    secrets = [user.api_key.split("_", 2)[2] for user in users] + [user.email for user in users]
    for line in lines:
        assert not SECRETS.search(line), line
        assert not [secret for secret in secrets if secret in line], line
    records = [json.loads(line) for line in lines]
    messages = [record for record in records if "message" in record]
    for record in messages:
        assert {"level", "timestamp", "service", "function_name", "function_request_id", "cold_start"} <= record.keys()
    completed = [record for record in messages if record["message"] == "Request completed"]
    assert len({record["route"] for record in completed}) == 13
    for record in completed:
        assert {"api_request_id", "user_id", "key_id", "status"} <= record.keys(), record
        assert "{project_id}" not in record["route"] or "project_id" in record or record["status"] in {404, 422}


def test_log_of_rejected_keys(app: InProcessApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says why each key was rejected and which key it is, so that an operator finds who still uses it."""
    alice, bob = app.create_user("alice"), app.create_user("bob")
    event = {"email": alice.email, "scopes": ["read"]}
    revoked = app.invoke("CreateApiKey", event)["api_key"]
    app.invoke("RevokeApiKey", {"key_id": revoked.split("_")[1]})
    expired = app.invoke("CreateApiKey", event | {"expires_at": (now() + timedelta(hours=1)).isoformat()})["api_key"]
    user_store.deactivate(users.get_by_email(bob.email), now())  # without revoking the keys
    monkeypatch.setattr(users, "now", lambda: now() + timedelta(hours=2))
    rejected = {
        "malformed": f"{alice.api_key}x",
        "unknown": f"prj_{'0' * 16}_{'0' * 43}",
        "wrong secret": f"{alice.api_key[:-43]}{'0' * 43}",
        "revoked": revoked,
        "expired": expired,
        "user deactivated": bob.api_key,
    }
    with capture_logs() as lines:
        for key in rejected.values():
            assert Client(app.send, key).get("/api/projects").status == 403
    records = [record for record in map(json.loads, lines) if record.get("message") == "API key rejected"]
    assert [(record["reason"], record.get("key_id")) for record in records] == [
        (reason, None if reason in {"malformed", "unknown"} else key.split("_")[1]) for reason, key in rejected.items()
    ]
    assert all(record["api_request_id"] and record["route"] == "GET /api/projects" for record in records)


def test_cold_start_logs_nothing(app: InProcessApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):  # Lambda keeps messages from this level on
        clients.session.__wrapped__().create_client("dynamodb")
    assert caplog.messages == []


def test_session_metrics(app: InProcessApp) -> None:
    with capture_logs() as lines:
        run_session(app)
    metrics = [record for record in map(json.loads, lines) if "_aws" in record]
    assert {record["service"] for record in metrics} == {"projects"}
    names = {metric["Name"] for record in metrics for metric in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names == {
        Metric.SERVER_ERRORS,
        Metric.STORAGE_UNAVAILABLE,
        Metric.KEYS_REJECTED,
        Metric.EVENTS_REJECTED,
        Metric.EXPORTS_READY,
    }


def test_metrics_are_documented() -> None:
    document = (ROOT / "docs" / "reference" / "logs-and-metrics.md").read_text()
    documented = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", document, re.MULTILINE))))
    assert {metric.value for metric in Metric} <= documented


def test_alarm_counts_failed_messages(app: InProcessApp) -> None:
    """A failed message is counted under the name, namespace and dimensions that the alarm on jobs watches."""
    with capture_logs() as lines:
        for function in ("AssembleExport", "PurgeProject"):
            assert app.deliver([{}], function)
    counted = [
        {"Namespace": emf["Namespace"], "MetricName": metric["Name"], "Dimensions": dimensions}
        for record in map(json.loads, lines)
        for emf in record.get("_aws", {}).get("CloudWatchMetrics", [])
        for dimensions in [[{"Name": name, "Value": record[name]} for name in emf["Dimensions"][0]]]
        for metric in emf["Metrics"]
    ]
    alarm = load_template()["Resources"]["JobErrorsAlarm"]["Properties"]["Metrics"]
    watched = [query["MetricStat"]["Metric"] for query in alarm if "MetricStat" in query]
    assert len(counted) == 2
    stack = {"Ref": "AWS::StackName"}
    assert all(metric | {"Dimensions": [{"Name": "service", "Value": stack}]} in watched for metric in counted)
    assert {dimension["Value"] for metric in counted for dimension in metric["Dimensions"]} == {STACK}


def test_gateway_log_has_no_client_input() -> None:
    """The access log leaves out the path and the headers, because a user may paste a key into one of them."""
    log_format = load_template()["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"]
    assert "$context.routeKey" in log_format
    assert "$context.path" not in log_format
    assert "userAgent" not in log_format
