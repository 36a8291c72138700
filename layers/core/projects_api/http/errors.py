"""Where domain errors become HTTP: the one place that knows which is which status."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as RouteNotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError, ResponseValidationError

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
        return _invalid([_explained(one) for one in error.errors()])

    def no_route(_: Exception) -> Response[Any]:
        return _problem(HTTPStatus.NOT_FOUND, "There is no such route. GET /api/docs shows those there are.")

    def unforeseen(error: Exception) -> Response[Any]:
        logger.exception("A request failed in a way that nobody foresaw", exc_info=error)
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side. Repeat the request.")

    app.exception_handler(ProjectsError)(domain_error)
    app.exception_handler(RequestValidationError)(invalid_request)
    app.exception_handler(ResponseValidationError)(unforeseen)
    app.exception_handler(RouteNotFoundError)(no_route)
    app.exception_handler(Exception)(unforeseen)


def _explained(error: dict[str, Any]) -> dict[str, Any]:
    match error["type"], error["loc"]:
        case "json_invalid", _:
            return {"loc": ["body"], "msg": "The body is not JSON: send one JSON object.", "type": "json_invalid"}
        case "missing" | "model_attributes_type", ("body",):
            return {"loc": ["body"], "msg": "The body must be one JSON object.", "type": error["type"]}
    return {"loc": error["loc"], "msg": error["msg"], "type": error["type"]}


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
