"""Time: a request is answered before its function's time is up, even while DynamoDB hangs."""

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

#: How long an HTTP API waits for a function, and for an authorizer, in seconds (API Gateway, "Quotas").
GATEWAY, AUTHORIZER = 30, 10
JOBS = {"RecordResource", "AssembleExport", "PurgeProject", "ScheduleExports", "ResumeStalled"}
OPERATORS = {"RegisterUser", "CreateApiKey", "RevokeApiKey"}


def test_a_try_takes_no_longer_than_is_counted_with(app: InProcessApp) -> None:
    for client in (clients.dynamodb(), clients.sqs(), clients.events()):
        config = client.meta.config
        assert config.connect_timeout + config.read_timeout + MAX_BACKOFF == Deadline.MAX_TRY_SECONDS  # type: ignore[attr-defined]  # set by name
        assert config.retries == {"mode": "standard", "total_max_attempts": MAX_ATTEMPTS}  # type: ignore[attr-defined]  # as above


def test_every_function_that_somebody_waits_for_ends_before_the_gateway_gives_up(app: InProcessApp) -> None:
    for name, function in app.stack.functions.items():
        if name not in JOBS | OPERATORS:
            waits = AUTHORIZER if name == "Authorize" else GATEWAY
            assert Deadline.MAX_TRY_SECONDS + TIME_RESERVE < function.timeout <= waits, name


def test_no_try_begins_that_might_outlast_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("projects_api.storage.deadline.time.monotonic", lambda: now)
    with deadline.within(29):
        last = 100 + 29 - TIME_RESERVE - Deadline.MAX_TRY_SECONDS
        now = last
        deadline.check()
        now = last + 0.01
        with pytest.raises(DeadlineExceededError):
            deadline.check()
    deadline.check()


def test_a_request_without_time_is_answered_503_and_a_job_has_all_the_time_it_needs(
    app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = alice.create()
    authorize = app.handlers["Authorize"]

    def in_time(event: object, context: object) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(Deadline, "MAX_TRY_SECONDS", 1.0)
            return authorize(event, context)

    monkeypatch.setitem(app.handlers, "Authorize", in_time)
    monkeypatch.setattr(Deadline, "MAX_TRY_SECONDS", 60.0)
    answer = alice.get(f"/api/projects/{project_id}")
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert "Repeat" in answer["detail"]
    assert app.invoke("ResumeStalled", {}) == {"resumed": 0}
