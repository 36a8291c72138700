"""What routes declare that they answer, for the OpenAPI document.

It is data, since a function that starts must not pay for what only the document shows.
"""

from http import HTTPStatus
from typing import Any

from projects_api.api.error_responses import INTERNAL_ERROR_MESSAGE
from projects_api.entities.errors import ConflictError, ProjectNotFoundError, ProjectsError, StorageUnavailableError

type Responses = dict[int, Any]

#: The schemas that are named below, as components of the document.
SCHEMAS: dict[str, Any] = {
    "Problem": {
        "title": "Problem",
        "description": "What is wrong, and what to do.",
        "type": "object",
        "properties": {"detail": {"title": "Detail", "type": "string"}},
        "required": ["detail"],
    },
    "InvalidInput": {
        "title": "InvalidInput",
        "description": "What is wrong with the input, part by part.",
        "type": "object",
        "properties": {
            "detail": {"title": "Detail", "type": "array", "items": {"$ref": "#/components/schemas/InvalidField"}}
        },
        "required": ["detail"],
    },
    "InvalidField": {
        "title": "InvalidField",
        "description": "What is wrong with one part of the input.",
        "type": "object",
        "properties": {
            "loc": {
                "title": "Loc",
                "description": "Where it stands, from the outside in.",
                "type": "array",
                "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            },
            "msg": {"title": "Msg", "description": "What is wrong, and what is allowed.", "type": "string"},
            "type": {"title": "Type", "description": "What kind of error it is, in one word.", "type": "string"},
        },
        "required": ["loc", "msg", "type"],
    },
    "GatewayProblem": {
        "title": "GatewayProblem",
        "description": "What the gateway answers where no function is asked.",
        "type": "object",
        "properties": {"message": {"title": "Message", "type": "string"}},
        "required": ["message"],
    },
}


def json_content(*schemas: str, **examples: Any) -> dict[str, Any]:
    """The declaration of a body of JSON that is of one of ``schemas``, with examples under their names."""
    references = [{"$ref": f"#/components/schemas/{name}"} for name in schemas]
    named = {name: {"summary": name.replace("_", " ").capitalize(), "value": value} for name, value in examples.items()}
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    return {"application/json": {"schema": schema, "examples": named} if named else {"schema": schema}}


def _problem(error: ProjectsError) -> dict[str, str]:
    return {"detail": str(error)}


def response(status: int, description: str, **more: Any) -> Responses:
    """The declaration of one answer; without ``content``, its body is of the handler's own type."""
    return {status: {"description": description, **more}}


def header(description: str, **schema: Any) -> dict[str, Any]:
    """The declaration of one header of an answer, which is always there."""
    return {"description": description, "required": True, "schema": schema}


RETRY_AFTER = {"Retry-After": header("In how many seconds to ask again.", type="integer", minimum=1)}


def location_header(description: str) -> dict[str, Any]:
    """The declaration of the header ``Location``."""
    return {"Location": header(description, type="string", format="uri-reference")}


#: What any route with a key may answer.
ERRORS: Responses = {
    HTTPStatus.UNAUTHORIZED: {
        "description": "The API key is missing.",
        "content": json_content("GatewayProblem", no_key={"message": "Unauthorized"}),
    },
    HTTPStatus.FORBIDDEN: {
        "description": "The API key is wrong, expired or revoked; or it lacks the scope, or its user the role.",
        "content": json_content(
            "Problem",
            "GatewayProblem",
            no_such_key={"message": "Forbidden"},
            no_scope={"detail": "This API key has the scopes: read. POST takes 'write'; ask for such a key."},
        ),
    },
    HTTPStatus.UNPROCESSABLE_ENTITY: {
        "description": "The input does not validate. Whatever is wrong with it is listed.",
        "content": json_content("InvalidInput"),
    },
    HTTPStatus.TOO_MANY_REQUESTS: {
        "description": "There are too many requests at this time. Repeat it later.",
        "content": json_content("GatewayProblem", throttled={"message": "Too Many Requests"}),
    },
    HTTPStatus.INTERNAL_SERVER_ERROR: {
        "description": "Something went wrong on our side.",
        "content": json_content("Problem", "GatewayProblem", unforeseen={"detail": INTERNAL_ERROR_MESSAGE}),
    },
    HTTPStatus.SERVICE_UNAVAILABLE: {
        "description": "The service is overloaded. Repeat the request in a moment.",
        "headers": {"Retry-After": RETRY_AFTER["Retry-After"] | {"required": False}},
        "content": json_content("Problem", "GatewayProblem", overloaded=_problem(StorageUnavailableError())),
    },
}

#: What any route of one project may answer.
PROJECT_ERRORS: Responses = ERRORS | {
    HTTPStatus.NOT_FOUND: {
        "description": "There is no such thing, or not for the caller.",
        "content": json_content("Problem", "GatewayProblem", no_project=_problem(ProjectNotFoundError())),
    }
}

#: What a route that takes a body may answer.
BODY_TOO_LARGE: Responses = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: {
        "description": "The body is larger than any that can be meant.",
        "content": json_content("GatewayProblem", too_large={"message": "Request Entity Too Large"}),
    }
}


def conflict_response(**examples: ConflictError) -> Responses:
    """The declaration of a 409, with an example of each case."""
    return {
        HTTPStatus.CONFLICT: {
            "description": "It conflicts with what is there.",
            "content": json_content("Problem", **{name: _problem(error) for name, error in examples.items()}),
        }
    }
