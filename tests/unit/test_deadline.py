"""Deadlines: a function responds to a request before its timeout, even if DynamoDB does not respond."""

import pytest

from projects_api.storage import clients
from projects_api.storage.deadline import (
    MAX_ATTEMPTS,
    MAX_BACKOFF,
    TIME_RESERVE,
    Deadline,
    DeadlineExceededError,
    deadline,
)
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.memory("calls no engine")

#: How long an HTTP API waits for a function and for an authorizer, in seconds.
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
INTEGRATION_TIMEOUT, AUTHORIZER_TIMEOUT = 30, 10
JOBS = {
    "RecordResource",
    "AssembleExport",
    "PurgeProject",
    "ScheduleExports",
    "ResumeStalled",
    "RunImport",
    "SweepArtifacts",
}
OPERATOR_FUNCTIONS = {
    "RegisterUser",
    "ListUsers",
    "DeactivateUser",
    "CreateApiKey",
    "ListApiKeys",
    "RevokeApiKey",
    "TransferProject",
}


def test_client_timeouts_match_the_deadline(app: InProcessApp) -> None:
    for client in (clients.dynamodb(), clients.sqs(), clients.events()):
        config = client.meta.config
        assert config.connect_timeout + config.read_timeout + MAX_BACKOFF == Deadline.MAX_ATTEMPT_SECONDS  # type: ignore[attr-defined]  # set by name
        assert config.retries == {"mode": "standard", "total_max_attempts": MAX_ATTEMPTS}  # type: ignore[attr-defined]  # as above


def test_functions_end_before_the_gateway_timeout(app: InProcessApp) -> None:
    for name, function in app.stack.functions.items():
        if name not in JOBS | OPERATOR_FUNCTIONS:
            gateway_timeout = AUTHORIZER_TIMEOUT if name == "Authorize" else INTEGRATION_TIMEOUT
            assert Deadline.MAX_ATTEMPT_SECONDS + TIME_RESERVE < function.timeout <= gateway_timeout, name


def test_no_late_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No attempt begins that might end after the deadline."""
    now = 100.0
    monkeypatch.setattr("projects_api.storage.deadline.time.monotonic", lambda: now)
    with deadline.within(29):
        latest_start = 100 + 29 - TIME_RESERVE - Deadline.MAX_ATTEMPT_SECONDS
        now = latest_start
        deadline.check()
        now = latest_start + 0.01
        with pytest.raises(DeadlineExceededError):
            deadline.check()
    deadline.check()


def test_only_requests_have_a_deadline(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The response to a request without enough time is 503. A job has no deadline."""
    project_id = alice.create()
    authorize = app.handlers["Authorize"]

    def authorize_in_time(event: object, context: object) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(Deadline, "MAX_ATTEMPT_SECONDS", 1.0)
            return authorize(event, context)

    monkeypatch.setitem(app.handlers, "Authorize", authorize_in_time)
    monkeypatch.setattr(Deadline, "MAX_ATTEMPT_SECONDS", 60.0)
    response = alice.get(f"/api/projects/{project_id}")
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert "Retry the request" in response["detail"]
    assert app.invoke("ResumeStalled", {}) == {"resumed": 0}
