"""Logs: each line says what it is about, and none tells a secret."""

import contextlib
import io
import json
import logging
import re
import traceback
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from local.stack import ROOT
from local.template import load_template
from projects_api.domain.exports import export_requests
from projects_api.storage import clients
from projects_api.telemetry import Metric
from tests.support.api_client import Client
from tests.support.fault_injection import Fault, network
from tests.support.in_process_app import InProcessApp

#: What no line may hold: an email, the secret of an API key, a signed URL.
SECRETS = re.compile(r"[\w.-]+@[\w-]+\.\w+|prj_|X-Amz-Signature|X-Amz-Credential|AWSAccessKeyId", re.IGNORECASE)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_requests, "WAIT", 0.0)


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """The lines that functions write in the block, and those that libraries write as Lambda would keep them."""
    lines: list[str] = []
    written, root = io.StringIO(), logging.getLogger()
    kept = logging.StreamHandler(written)
    kept.addFilter(lambda record: record.name.startswith(("boto", "urllib3", "projects_api")))
    handlers = [h for h in logging.getLogger("projects").handlers if isinstance(h, logging.StreamHandler)]
    assert handlers
    before = [handler.setStream(written) for handler in handlers]
    root.addHandler(kept)
    try:
        with contextlib.redirect_stdout(written):
            yield lines
    finally:
        root.removeHandler(kept)
        for handler, stream in zip(handlers, before, strict=True):
            handler.setStream(stream)
        lines += written.getvalue().splitlines()


def failing(app: InProcessApp, function: str, event: Any) -> None:
    """Has a function fail, and writes what Lambda logs of that by itself."""
    with pytest.raises(Exception) as failure:  # noqa: PT011 - whatever it is, Lambda logs it
        app.invoke(function, event)
    trace = "".join(traceback.format_exception(failure.value))
    print(json.dumps({"errorType": failure.typename, "errorMessage": str(failure.value), "stackTrace": trace}))


def whole_session(app: InProcessApp) -> list[Client]:
    """Every route and every job once or more, with success and in vain."""
    alice, bob = app.user("alice"), app.user("bob")
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
    artifact = app.store(project_id, "datasets/a@example.com", b"a")
    app.announce("Dataset Created", project_id, {"id": str(uuid.uuid4()), "name": bob.email, "artifact": artifact})
    app.announce("Dataset Created", project_id, {"id": bob.email, "name": alice.api_key})
    app.announce("Dataset Created", str(uuid.uuid4()), {"id": str(uuid.uuid4()), "name": "late"})
    app.process_queues()
    export_id = alice.post(f"{url}/exports")["export"]["id"]
    app.process_queues()
    app.invoke("ScheduleExports", {})
    app.process_queues()
    for path in ("/export", "/exports", f"/exports/{export_id}"):
        for accept in ("application/json", "*/*"):
            assert alice.get(url + path, Accept=accept).status == 200
    app.invoke("ResumeStalled", {})
    failing(app, "RegisterUser", {"email": "no address", "name": "B"})
    failing(app, "RegisterUser", {"email": [bob.email]})
    failing(app, "CreateApiKey", {"email": "nobody@example.com", "scopes": ["read"]})
    failing(app, "CreateApiKey", {"email": bob.email, "scopes": [bob.email]})
    failing(app, "RevokeApiKey", {"key_id": bob.api_key})
    app.invoke("RevokeApiKey", {"key_id": bob.api_key.split("_")[1]})
    for fault in (Fault.REFUSED, Fault.FAILED, Fault.UNANSWERED):
        for function, act in (
            ("AddMember", partial(alice.post, f"{url}/members", {"email": bob.email})),
            ("CreateProject", partial(alice.post, "/api/projects", {"name": bob.email})),
        ):
            with network(app, function, fails=0, fault=fault):
                assert act().status >= 500
        with network(app, "RegisterUser", fails=0, fault=fault):
            failing(app, "RegisterUser", {"email": "carol@example.com", "name": "Carol"})
    alice.delete(url)
    app.process_queues()
    assert len(app.dead_letters()) == 2
    return [alice, bob]


def test_no_line_of_a_whole_session_tells_a_secret_and_each_says_where_it_comes_from(app: InProcessApp) -> None:
    with logged() as lines:
        users = whole_session(app)
    assert len(lines) > 60
    secrets = [user.api_key.split("_", 2)[2] for user in users] + [user.email for user in users]
    for line in lines:
        assert not SECRETS.search(line), line
        assert not [secret for secret in secrets if secret in line], line
    records = [json.loads(line) for line in lines]
    said = [record for record in records if "message" in record]
    for record in said:
        assert {"level", "timestamp", "service", "function_name", "function_request_id", "cold_start"} <= record.keys()
    answered = [record for record in said if record["message"] == "answered"]
    assert len({record["route"] for record in answered}) == 13
    for record in answered:
        assert {"api_request_id", "user_id", "key_id", "status"} <= record.keys(), record
        assert "{project_id}" not in record["route"] or "project_id" in record or record["status"] in {404, 422}


def test_a_cold_start_says_nothing_of_itself(app: InProcessApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):  # Lambda's
        clients.session.__wrapped__().create_client("dynamodb")
    assert caplog.messages == []


def test_what_an_operator_sets_an_alarm_on_is_counted(app: InProcessApp) -> None:
    with logged() as lines:
        whole_session(app)
    metrics = [record for record in map(json.loads, lines) if "_aws" in record]
    assert {record["service"] for record in metrics} == {"projects"}
    names = {one["Name"] for record in metrics for one in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert names == {
        Metric.SERVER_ERRORS,
        Metric.STORAGE_UNAVAILABLE,
        Metric.KEYS_REJECTED,
        Metric.EVENTS_REJECTED,
        Metric.EXPORTS_READY,
    }


def test_the_documents_explain_every_metric() -> None:
    document = (ROOT / "docs" / "architecture.md").read_text()
    explained = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", document, re.MULTILINE))))
    assert {metric.value for metric in Metric} <= explained


def test_a_message_that_fails_is_what_the_alarm_on_jobs_counts(app: InProcessApp) -> None:
    with logged() as lines:
        for function in ("AssembleExport", "PurgeProject"):
            assert app.deliver([{}], function)
    counted = [
        {"Namespace": emf["Namespace"], "MetricName": one["Name"], "Dimensions": dimensions}
        for record in map(json.loads, lines)
        for emf in record.get("_aws", {}).get("CloudWatchMetrics", [])
        for dimensions in [[{"Name": name, "Value": record[name]} for name in emf["Dimensions"][0]]]
        for one in emf["Metrics"]
    ]
    alarm = load_template()["Resources"]["JobErrorsAlarm"]["Properties"]["Metrics"]
    watched = [one["MetricStat"]["Metric"] for one in alarm if "MetricStat" in one]
    assert len(counted) == 2
    assert all(metric in watched for metric in counted)


def test_the_gateways_log_holds_nothing_that_a_client_writes() -> None:
    """A key may be pasted into a path or a header."""
    written = load_template()["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"]
    assert "$context.routeKey" in written
    assert "$context.path" not in written
    assert "userAgent" not in written
