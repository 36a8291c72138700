"""What a schema can't say: of valid requests, lest a right refusal is taken for a wrong one, and of the gateway."""

import uuid
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import CoveragePhaseData, CoverageScenario


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: "schemathesis.Case[Any]", _: dict[str, Any]) -> None:
    """Changes what is meant to be valid; what is meant to be invalid stays as it is.

    A cursor is one that the API gave: any other text is refused. An Idempotency-Key belongs to one body: with another
    it is refused. An email address is that of somebody who is registered: any other is not found.
    """
    if case.meta and case.meta.generation.mode is GenerationMode.NEGATIVE:
        return
    case.query.pop("cursor", None)
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if isinstance(case.body, dict) and "email" in case.body:
        case.body["email"] = "bob@example.com"


@schemathesis.check
def undeclared_methods(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: "schemathesis.Case[Any]"
) -> None:
    """A method that a path does not have is a route that there is not, and asks no function."""
    data = case.meta and case.meta.phase.data
    if isinstance(data, CoveragePhaseData) and data.scenario is CoverageScenario.UNSPECIFIED_HTTP_METHOD:
        assert (response.status_code, response.json()) == (404, {"message": "Not Found"})
