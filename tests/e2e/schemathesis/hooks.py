"""What a schema can't say of valid requests, so that schemathesis does not take a right refusal for a wrong one."""

import uuid
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: "schemathesis.Case[Any]", _: dict[str, Any]) -> None:
    """Changes what is meant to be valid; what is meant to be invalid stays as it is.

    A cursor is one that the API gave: any other text is refused. An Idempotency-Key belongs to one body: with another
    it is refused.
    """
    if case.meta and case.meta.generation.mode is GenerationMode.NEGATIVE:
        return
    case.query.pop("cursor", None)
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
