"""Conversion of errors into HTTP responses. Only this module maps domain errors to status codes."""

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


#: Messages by pydantic's error type. Pydantic provides the limits in braces, and ``_format_message`` the other values.
_MESSAGES = {
    "bool_type": "'{field}' is {kind}: send true or false.",
    "control_character": "'{field}' contains the control character {character}: remove it.",
    "dict_type": "'{field}' is {kind}: send an object.",
    "enum": "{value} is not a valid value: use {expected}.",
    "greater_than_equal": "{value} is too small: the minimum is {ge}.",
    "int_parsing": "{value} is not a whole number: send one in digits.",
    "int_parsing_size": "{value} has too many digits: send a smaller number.",
    "int_type": "'{field}' is {kind}: send a whole number.",
    "json_invalid": "The body is not valid JSON: {error} (character {at}). Send one JSON object.",
    "less_than_equal": "{value} is too large: the maximum is {le}.",
    "missing": "'{field}' is required.",
    "model_attributes_type": "The body is {kind}: send one JSON object.",
    "string_pattern_mismatch": "{value} does not have the form of '{field}': send a value that matches {pattern}.",
    "string_too_long": "'{field}' has {length} characters: the maximum is {max_length}.",
    "string_too_short": "'{field}' is blank: send at least {min_length} character.",
    "string_type": "'{field}' is {kind}: send a string.",
    "string_unicode": "'{field}' contains half of a surrogate pair: send both halves, or the character in UTF-8.",
    "uuid_parsing": "{value} is not a valid id: send a UUID.",
    "uuid_type": "'{field}' is {kind}: send a UUID.",
}

#: The message of every unexpected error.
INTERNAL_ERROR_MESSAGE = "Something went wrong on our side. Retry the request."


def _status_of(error: ProjectsError) -> HTTPStatus:
    return next(status for kind, status in _STATUSES.items() if isinstance(error, kind))


def register_error_handlers(app: APIGatewayHttpResolver) -> None:
    """Make ``app`` respond to every error with JSON, ``{"detail": …}``, without a traceback."""

    def handle_domain_error(error: ProjectsError) -> Response[Any]:
        if isinstance(error, InvalidInputError):
            return _invalid_input_response([{"loc": error.loc, "msg": str(error), "type": error.type}])
        status = _status_of(error)
        return _problem_response(status, str(error), retry=status is HTTPStatus.SERVICE_UNAVAILABLE)

    def handle_invalid_request(error: RequestValidationError) -> Response[Any]:
        return _invalid_input_response([_explain(item) for item in error.errors()])

    def handle_unknown_route(_: Exception) -> Response[Any]:
        return _problem_response(HTTPStatus.NOT_FOUND, "This route does not exist. GET /api/docs lists all routes.")

    def handle_unexpected_error(error: Exception) -> Response[Any]:
        logger.exception("A request failed with an unexpected error", exc_info=error)
        return _problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, INTERNAL_ERROR_MESSAGE)

    app.exception_handler(ProjectsError)(handle_domain_error)
    app.exception_handler(RequestValidationError)(handle_invalid_request)
    app.exception_handler(ResponseValidationError)(handle_unexpected_error)
    app.exception_handler(RouteNotFoundError)(handle_unknown_route)
    app.exception_handler(Exception)(handle_unexpected_error)


def _explain(error: dict[str, Any]) -> dict[str, Any]:
    """Rewrite one of pydantic's errors with a message that names the invalid value and the valid ones."""
    place, *inside = error["loc"]
    if place == "query" and isinstance(error.get("input"), list):
        message = f"'{inside[0]}' occurs {len(error['input'])} times: send it once."
        return {"loc": [place, *inside], "msg": message, "type": error["type"]}
    match error["type"], place:
        case "json_invalid", _:
            return {"loc": [place], "msg": _format_message(error, at=inside[0]), "type": error["type"]}
        case "missing", "body" if not inside:
            return {"loc": [place], "msg": "The body is missing: send one JSON object.", "type": error["type"]}
        case "model_attributes_type", _ if inside:
            error = error | {"type": "dict_type"}
        case _, "header":
            inside = [name.title() for name in inside]  # Powertools converts header names to lower case
    return {
        "loc": [place, *inside],
        "msg": _format_message(error, field=inside[-1] if inside else place),
        "type": error["type"],
    }


def _format_message(error: dict[str, Any], **extra: Any) -> str:
    value, template = error.get("input"), _MESSAGES.get(error["type"])
    if template is None:
        return str(error["msg"])
    values = {
        "value": redact(value),
        "kind": _json_type(value),
        "length": len(value.strip()) if isinstance(value, str) else 0,
    }
    return template.format(**values | extra | (error.get("ctx") or {}))


def _json_type(value: Any) -> str:
    """Return the JSON type of ``value``, with an article."""
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


def _problem_response(status: HTTPStatus, detail: str, *, retry: bool = False) -> Response[Any]:
    return Response(
        status_code=status,
        content_type="application/json",
        headers={"Retry-After": "1"} if retry else {},
        body={"detail": detail},
    )


def _invalid_input_response(detail: list[dict[str, Any]]) -> Response[Any]:
    return Response(
        status_code=HTTPStatus.UNPROCESSABLE_ENTITY, content_type="application/json", body={"detail": detail}
    )
