"""Where domain errors become HTTP: the one place that knows which is which status."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as RouteNotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError, ResponseValidationError

from projects_api.entities.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    ProjectsError,
    StorageUnavailableError,
    redact,
)

logger = Logger(child=True)

_STATUSES: dict[type[ProjectsError], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    NotAllowedError: HTTPStatus.FORBIDDEN,
    ConflictError: HTTPStatus.CONFLICT,
    InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    StorageUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}


#: What a kind of error of pydantic's is called. What is in braces is a limit, or told of what was sent.
_MESSAGES = {
    "control_character": "'{field}' holds the control character {character}: leave it out.",
    "enum": "{value} is not known: give {expected}.",
    "greater_than_equal": "{value} is too little: give at least {ge}.",
    "int_parsing": "{value} is not a whole number: give one in digits.",
    "int_parsing_size": "{value} is too large a number: give a smaller one.",
    "json_invalid": "The body is not JSON: {error} (character {at}). Send one JSON object.",
    "less_than_equal": "{value} is too much: give at most {le}.",
    "missing": "'{field}' is missing: it is required.",
    "model_attributes_type": "The body is {kind}: send one JSON object.",
    "string_too_long": "'{field}' has {length} characters: give at most {max_length}.",
    "string_too_short": "'{field}' is blank: give at least {min_length} character.",
    "string_type": "'{field}' is {kind}: give a string.",
    "string_unicode": "'{field}' holds half of a surrogate pair, which is no character: send both halves, or UTF-8.",
    "uuid_parsing": "{value} is not an id: give a UUID.",
}

#: What is said of an error that nobody foresaw.
INTERNAL_ERROR_MESSAGE = "Something went wrong on our side. Repeat the request."

#: What is put in the place of a body that can't be taken, and is no JSON itself: it says why. And the type of each.
NOT_UTF8 = "The body is not UTF-8: send one JSON object in UTF-8."
TOO_DEEP = "The body is nested too deeply: send one JSON object."
LIST = "The body is a list: send one JSON object."
TOO_LONG_A_NUMBER = "The body has a number with too many digits: send one JSON object."
UNREADABLE = {
    NOT_UTF8: "json_invalid",
    TOO_DEEP: "json_invalid",
    LIST: "model_attributes_type",
    TOO_LONG_A_NUMBER: "json_invalid",
}


def _status_of(error: ProjectsError) -> HTTPStatus:
    """The status that an error becomes."""
    return next(status for kind, status in _STATUSES.items() if isinstance(error, kind))


def register_error_handlers(app: APIGatewayHttpResolver) -> None:
    """Makes ``app`` answer every error as JSON: ``{"detail": …}``, with no trace in it."""

    def domain_error(error: ProjectsError) -> Response[Any]:
        if isinstance(error, InvalidInputError):
            return _invalid([{"loc": error.loc, "msg": str(error), "type": error.type}])
        status = _status_of(error)
        return _problem(status, str(error), retry=status is HTTPStatus.SERVICE_UNAVAILABLE)

    def invalid_request(error: RequestValidationError) -> Response[Any]:
        if isinstance(error.body, str) and error.body in UNREADABLE:
            return _invalid([{"loc": ["body"], "msg": error.body, "type": UNREADABLE[error.body]}])
        return _invalid([_explain(one) for one in error.errors()])

    def no_route(_: Exception) -> Response[Any]:
        return _problem(HTTPStatus.NOT_FOUND, "There is no such route. GET /api/docs shows those there are.")

    def unforeseen(error: Exception) -> Response[Any]:
        logger.exception("A request failed in a way that nobody foresaw", exc_info=error)
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR_MESSAGE)

    app.exception_handler(ProjectsError)(domain_error)
    app.exception_handler(RequestValidationError)(invalid_request)
    app.exception_handler(ResponseValidationError)(unforeseen)
    app.exception_handler(RouteNotFoundError)(no_route)
    app.exception_handler(Exception)(unforeseen)


def _explain(error: dict[str, Any]) -> dict[str, Any]:
    """An error of pydantic's in the words that a user needs: which value is wrong, and what is allowed."""
    place, *inside = error["loc"]
    if place == "query" and isinstance(error.get("input"), list):
        text = f"'{inside[0]}' is given {len(error['input'])} times: give it once."
        return {"loc": [place, *inside], "msg": text, "type": error["type"]}
    match error["type"], place:
        case "json_invalid", _:
            return {"loc": [place], "msg": _message(error, at=inside[0]), "type": error["type"]}
        case "missing", "body" if not inside:
            return {"loc": [place], "msg": "The body is missing: send one JSON object.", "type": error["type"]}
        case _, "header":
            inside = [name.title() for name in inside]  # Powertools has them in lower case
    return {
        "loc": [place, *inside],
        "msg": _message(error, field=inside[-1] if inside else place),
        "type": error["type"],
    }


def _message(error: dict[str, Any], **more: Any) -> str:
    sent, template = error.get("input"), _MESSAGES.get(error["type"])
    if template is None:
        return str(error["msg"])
    known = {"value": redact(sent), "kind": _kind(sent), "length": len(sent.strip()) if isinstance(sent, str) else 0}
    return template.format(**known | more | (error.get("ctx") or {}))


def _kind(value: Any) -> str:
    """What a value of JSON is."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"


def _problem(status: HTTPStatus, detail: str, *, retry: bool = False) -> Response[Any]:
    return Response(
        status_code=status,
        content_type="application/json",
        headers={"Retry-After": "1"} if retry else {},
        body={"detail": detail},
    )


def _invalid(detail: list[dict[str, Any]]) -> Response[Any]:
    return Response(
        status_code=HTTPStatus.UNPROCESSABLE_ENTITY, content_type="application/json", body={"detail": detail}
    )
