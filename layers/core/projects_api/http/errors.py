"""Where domain errors become HTTP: the one place that knows which is which status."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as RouteNotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError, ResponseValidationError
from pydantic import BaseModel

from projects_api.model.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    ProjectsError,
    StorageUnavailableError,
)

logger = Logger(child=True)

_STATUSES: dict[type[ProjectsError], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    NotAllowedError: HTTPStatus.FORBIDDEN,
    ConflictError: HTTPStatus.CONFLICT,
    InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    StorageUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(BaseModel):
    """What is wrong, and what to do."""

    detail: str


class InvalidField(BaseModel):
    """What is wrong with one part of the input."""

    loc: list[str | int]
    msg: str
    type: str


class InvalidInput(BaseModel):
    """What is wrong with the input, part by part."""

    detail: list[InvalidField]


def status_of(error: ProjectsError) -> HTTPStatus:
    """The status that an error becomes."""
    return next(status for kind, status in _STATUSES.items() if isinstance(error, kind))


def answer_errors(app: APIGatewayHttpResolver) -> None:
    """Has ``app`` answer every error as JSON: ``{"detail": …}``, with no trace in it."""

    def domain_error(error: ProjectsError) -> Response[Any]:
        if isinstance(error, InvalidInputError):
            return _invalid([{"loc": error.loc, "msg": str(error), "type": error.type}])
        status = status_of(error)
        return _problem(status, str(error), retry=status is HTTPStatus.SERVICE_UNAVAILABLE)

    def invalid_request(error: RequestValidationError) -> Response[Any]:
        return _invalid([{"loc": one["loc"], "msg": one["msg"], "type": one["type"]} for one in error.errors()])

    def not_json(_: Exception) -> Response[Any]:
        return _invalid(
            [{"loc": ["body"], "msg": "The body is no JSON that can be read: send one object.", "type": "json_invalid"}]
        )

    def no_route(_: Exception) -> Response[Any]:
        return _problem(HTTPStatus.NOT_FOUND, "There is no such route. GET /api/docs shows those there are.")

    def unforeseen(error: Exception) -> Response[Any]:
        logger.exception("A request failed in a way that nobody foresaw", exc_info=error)
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side. Repeat the request.")

    app.exception_handler(ProjectsError)(domain_error)
    app.exception_handler(RequestValidationError)(invalid_request)
    app.exception_handler([UnicodeDecodeError, RecursionError])(not_json)
    app.exception_handler(ResponseValidationError)(unforeseen)
    app.exception_handler(RouteNotFoundError)(no_route)
    app.exception_handler(Exception)(unforeseen)


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
