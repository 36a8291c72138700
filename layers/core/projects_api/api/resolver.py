"""The Powertools resolver that each function of a route creates."""

import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

from projects_api import telemetry
from projects_api.api.base_path import add_base_path, split_base_path
from projects_api.api.error_responses import register_error_handlers
from projects_api.api.request_body import parse_body, treat_body_as_json
from projects_api.domain.permissions import require_scope
from projects_api.entities.errors import NotAllowedError
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, UserId
from projects_api.entities.project import Caller
from projects_api.entities.user import Email, Scope
from projects_api.storage.deadline import deadline
from projects_api.telemetry import Metric

__all__ = ["Api", "Response"]

logger = Logger()


class Api(APIGatewayHttpResolver):
    """The resolver of one route.

    It validates each request against the signature of the handler, requires an API key with the scope for the HTTP
    method, responds to errors with JSON, and logs each request with its route, user and project but without secrets.

    Attributes:
        handler: The Lambda handler. It takes an HTTP API event in payload format 2.0.

    Example:
        >>> api = Api()
        >>> @api.get("/api/things")
        ... def list_things() -> Things: ...
        >>> handler = api.handler
    """

    def __init__(self) -> None:
        super().__init__(
            enable_validation=True,
            response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR,
            # Escaping non-ASCII letters would triple their size, and Lambda limits a response to 6 MB:
            # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
            serializer=partial(json.dumps, ensure_ascii=False, separators=(",", ":")),
            json_body_deserializer=parse_body,
        )
        register_error_handlers(self)
        self.use([_require_scope])
        self.handler = logger.inject_lambda_context(clear_state=True)(self._handle)

    @property
    def caller(self) -> Caller:
        """The user whom the authorizer authenticated."""
        context = self._authorizer_context()
        return Caller(UserId(context["user_id"]), Email(context["email"]), context["name"])

    @property
    def scopes(self) -> frozenset[Scope]:
        """The scopes of the request's API key."""
        return frozenset(Scope(scope) for scope in self._authorizer_context()["scopes"].split())

    @property
    def key(self) -> dict[str, Any]:
        """The request's API key, as ``GET /api/me`` shows it."""
        context = self._authorizer_context()
        return {
            "id": context["key_id"],
            "scopes": context["scopes"].split(),
            "created_at": context["key_created_at"],
            "expires_at": context["key_expires_at"] or None,
        }

    @property
    def may_read(self) -> bool:
        """The permission of the request's API key to read data."""
        return bool(self.scopes & {Scope.READ, Scope.ADMIN})

    def idempotent_request(
        self, key: str | None, body: BaseModel, *, project_id: ProjectId | None = None
    ) -> IdempotentRequest | None:
        """Return the current request for ``storage.dynamodb.idempotency_store``, or None without a key.

        Args:
            key: The ``Idempotency-Key``.
            body: The validated body.
            project_id: The project in the path.
        """
        if key is None:
            return None
        route = f"{self.current_event.http_method} {self.current_event.path}"
        return IdempotentRequest(self.caller.user_id, route, key, body.model_dump(mode="json"), project_id)

    @property
    def base_url(self) -> str:
        """The URL of the API, without a path, as the client has addressed it."""
        headers = {name.lower(): value for name, value in (self.current_event.raw_event.get("headers") or {}).items()}
        host = headers.get("host") or self.current_event.raw_event["requestContext"].get("domainName", "localhost")
        return f"{headers.get('x-forwarded-proto', 'https')}://{host}"

    def _authorizer_context(self) -> dict[str, str]:
        try:
            context: dict[str, str] = self.current_event.raw_event["requestContext"]["authorizer"]["lambda"]
        except (KeyError, TypeError):
            raise NotAllowedError(
                "The request did not pass through the authorizer. Call the API through its gateway."
            ) from None
        return context

    def _handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        telemetry.append_request_keys(event)
        with deadline.within(context.get_remaining_time_in_millis() / 1000):
            base_path, event = split_base_path(event)
            response = add_base_path(base_path, self.resolve(treat_body_as_json(event), context))
        status = response["statusCode"]
        logger.info("Request completed", extra={"status": status})
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            telemetry.count(Metric.STORAGE_UNAVAILABLE)
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            telemetry.count(Metric.SERVER_ERRORS)
        return response


def _require_scope(app: Api, next_middleware: Callable[[Api], Response[Any]]) -> Response[Any]:
    require_scope(app.current_event.http_method, app.scopes)
    return next_middleware(app)
