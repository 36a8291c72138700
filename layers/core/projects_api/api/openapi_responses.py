"""Declarations of responses for the OpenAPI document.

They are plain data: building pydantic models for them would slow down the cold start of every function.
"""

from http import HTTPStatus
from typing import Any

from projects_api.api.error_responses import INTERNAL_ERROR_MESSAGE
from projects_api.entities.errors import ConflictError, ProjectNotFoundError, ProjectsError, StorageUnavailableError

type Responses = dict[int, Any]

#: The schemas of errors, which become components of the document.
SCHEMAS: dict[str, Any] = {
    "Problem": {
        "title": "Problem",
        "description": "An error.",
        "type": "object",
        "properties": {
            "detail": {
                "title": "Detail",
                "description": "A sentence that says what is wrong and what to do.",
                "type": "string",
            }
        },
        "required": ["detail"],
    },
    "FailedExport": {
        "title": "FailedExport",
        "description": "The reason why there is no archive.",
        "type": "object",
        "properties": {
            "detail": {
                "title": "Detail",
                "description": "A sentence that says what is wrong and what to do.",
                "type": "string",
            },
            "export": {"$ref": "#/components/schemas/Export"},
        },
        "required": ["detail"],
    },
    "InvalidInput": {
        "title": "InvalidInput",
        "description": "A list of everything that is wrong with the input.",
        "type": "object",
        "properties": {
            "detail": {"title": "Detail", "type": "array", "items": {"$ref": "#/components/schemas/InvalidField"}}
        },
        "required": ["detail"],
    },
    "InvalidField": {
        "title": "InvalidField",
        "description": "One invalid part of the input.",
        "type": "object",
        "properties": {
            "loc": {
                "title": "Loc",
                "description": "The path to the invalid value: the part of the request (`path`, `query`, `header` or "
                "`body`), then the field names.",
                "type": "array",
                "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            },
            "msg": {
                "title": "Msg",
                "description": "A sentence that says what is wrong and which values are valid.",
                "type": "string",
            },
            "type": {
                "title": "Type",
                "description": "The machine-readable error type, such as `missing`.",
                "type": "string",
            },
        },
        "required": ["loc", "msg", "type"],
    },
    "GatewayProblem": {
        "title": "GatewayProblem",
        "description": "An error that the gateway returns without calling a function.",
        "type": "object",
        "properties": {"message": {"title": "Message", "type": "string"}},
        "required": ["message"],
    },
}


def json_content(*schemas: str, **examples: Any) -> dict[str, Any]:
    """Declare a JSON body.

    Args:
        *schemas: The names of component schemas. The body matches one of them.
        **examples: Example bodies by name.
    """
    references = [{"$ref": f"#/components/schemas/{name}"} for name in schemas]
    named_examples = {
        name: {"summary": name.replace("_", " ").capitalize(), "value": value} for name, value in examples.items()
    }
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {
        "application/json": {"schema": schema, "examples": named_examples} if named_examples else {"schema": schema}
    }


def _problem(error: ProjectsError) -> dict[str, str]:
    return {"detail": str(error)}


def response(status: int, description: str, **fields: Any) -> Responses:
    """Declare one response. Without ``content``, its body has the return type of the handler."""
    return {status: {"description": description, **fields}}


def header(description: str, **schema: Any) -> dict[str, Any]:
    """Declare a response header that is always present."""
    return {"description": description, "required": True, "schema": schema}


RETRY_AFTER = {
    "Retry-After": header("The number of seconds to wait before the next request.", type="integer", minimum=1)
}


def location_header(description: str) -> dict[str, Any]:
    """Declare the ``Location`` header."""
    return {"Location": header(description, type="string", format="uri-reference")}


#: The error responses of every route that requires an API key.
ERRORS: Responses = {
    HTTPStatus.UNAUTHORIZED: {
        "description": "The API key is missing.",
        "content": json_content("GatewayProblem", no_key={"message": "Unauthorized"}),
    },
    HTTPStatus.FORBIDDEN: {
        "description": "The API key is invalid, expired or revoked, lacks the required scope, or its user lacks "
        "the required role.",
        "content": json_content(
            "Problem",
            "GatewayProblem",
            no_such_key={"message": "Forbidden"},
            no_scope={
                "detail": "This API key has the scopes: read. POST needs 'write'. "
                "Ask an operator for a key with that scope."
            },
        ),
    },
    HTTPStatus.UNPROCESSABLE_ENTITY: {
        "description": "The input is invalid. The response lists everything that is wrong with it.",
        "content": json_content("InvalidInput"),
    },
    HTTPStatus.TOO_MANY_REQUESTS: {
        "description": "Too many requests. Retry the request later.",
        "content": json_content("GatewayProblem", throttled={"message": "Too Many Requests"}),
    },
    HTTPStatus.INTERNAL_SERVER_ERROR: {
        "description": "Something went wrong on our side.",
        "content": json_content("Problem", "GatewayProblem", unexpected_error={"detail": INTERNAL_ERROR_MESSAGE}),
    },
    HTTPStatus.SERVICE_UNAVAILABLE: {
        "description": "The service is overloaded. Retry the request after the time in `Retry-After`.",
        "headers": {"Retry-After": RETRY_AFTER["Retry-After"] | {"required": False}},
        "content": json_content("Problem", "GatewayProblem", overloaded=_problem(StorageUnavailableError())),
    },
}

#: The error responses of every route of a project.
PROJECT_ERRORS: Responses = ERRORS | {
    HTTPStatus.NOT_FOUND: {
        "description": "The requested item does not exist, or the caller has no access to it.",
        "content": json_content("Problem", "GatewayProblem", no_project=_problem(ProjectNotFoundError())),
    }
}

#: The error response of every route that takes a body.
BODY_TOO_LARGE: Responses = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: {
        "description": "The body is too large.",
        "content": json_content("GatewayProblem", too_large={"message": "Request Entity Too Large"}),
    }
}


def conflict_response(**examples: ConflictError) -> Responses:
    """Declare a 409 response with an example error of each case."""
    return {
        HTTPStatus.CONFLICT: {
            "description": "The request conflicts with the current state.",
            "content": json_content("Problem", **{name: _problem(error) for name, error in examples.items()}),
        }
    }
