"""Schemathesis hooks: conditions of valid requests, and of the gateway, that the OpenAPI document cannot express."""

import uuid
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import CoveragePhaseData, CoverageScenario, TestPhase

#: The size of a file that has no more parts than S3 allows, whatever their size.
MAX_SIZE = 10_000 * (5 << 20)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: "schemathesis.Case[Any]", _: dict[str, Any]) -> None:
    """Complete a request that is meant to be valid. A request that is meant to be invalid stays unchanged.

    The API rejects any cursor that it did not issue, and an Idempotency-Key that an earlier request with another body
    had. It knows only the email addresses of registered users, and limits the size of a file and the number of parts.
    Only a member can become the owner, such as the caller. A resource with a file exists once its parts are uploaded,
    which no sequence of requests to this API does.
    """
    if case.meta and case.meta.generation.mode is GenerationMode.NEGATIVE:
        return
    case.query.pop("cursor", None)
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if isinstance(case.body, dict) and "email" in case.body:
        case.body["email"] = "alice@example.com" if case.path.endswith("/owner") else "bob@example.com"
    if isinstance(case.body, dict) and case.meta and case.meta.phase.name is TestPhase.STATEFUL:
        case.body.pop("file", None)
    for described in (case.body, case.body.get("file")) if isinstance(case.body, dict) else ():
        size = described.get("size_bytes") if isinstance(described, dict) else None
        if isinstance(described, dict) and isinstance(size, int | float):
            described["size_bytes"] = min(size, MAX_SIZE)


@schemathesis.check
def undeclared_methods(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: "schemathesis.Case[Any]"
) -> None:
    """Check that the gateway responds with 404 to a method that the path does not have."""
    data = case.meta and case.meta.phase.data
    if isinstance(data, CoveragePhaseData) and data.scenario is CoverageScenario.UNSPECIFIED_HTTP_METHOD:
        assert (response.status_code, response.json()) == (404, {"message": "Not Found"})
