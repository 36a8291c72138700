"""The resolver that every route's function is made with."""

import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.api.error_responses import register_error_handlers
from projects_api.api.request_body import as_json
from projects_api.domain.permissions import require_scope
from projects_api.entities.errors import NotAllowedError
from projects_api.entities.ids import UserId
from projects_api.entities.project import Caller
from projects_api.entities.user import Email, Scope
from projects_api.storage.deadline import deadline
from projects_api.telemetry import Metric

logger = Logger()


class Api(APIGatewayHttpResolver):
    """The resolver of one route's function.

    It validates the request by the handler's signature, lets in only keys with the scope that the method takes,
    answers every error as JSON, and logs each request with its route, user and project, and no secret.

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
            # Letters of any script as they are, since escaped they are thrice as long, and an answer is at most 6 MB.
            serializer=partial(json.dumps, ensure_ascii=False, separators=(",", ":")),
        )
        register_error_handlers(self)
        self.use([_require_scope])
        #: What Lambda calls with a request of an HTTP API in payload format 2.0.
        self.handler = logger.inject_lambda_context(clear_state=True)(self._handle)

    @property
    def caller(self) -> Caller:
        """Who makes the request, as the authorizer found."""
        known = self._authorized()
        return Caller(UserId(known["user_id"]), Email(known["email"]), known["name"])

    @property
    def scopes(self) -> frozenset[Scope]:
        """What the request's API key may be used for."""
        return frozenset(Scope(scope) for scope in self._authorized()["scopes"].split())

    def _authorized(self) -> dict[str, str]:
        try:
            known: dict[str, str] = self.current_event.raw_event["requestContext"]["authorizer"]["lambda"]
        except (KeyError, TypeError):
            raise NotAllowedError("The request came past the authorizer. Call the API through its gateway.") from None
        return known

    def _handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        telemetry.identify(event)
        with deadline.within(context.get_remaining_time_in_millis() / 1000):
            answer = self.resolve(as_json(event), context)
        status = answer["statusCode"]
        logger.info("answered", extra={"status": status})
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            telemetry.count(Metric.STORAGE_UNAVAILABLE)
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            telemetry.count(Metric.SERVER_ERRORS)
        return answer


def _require_scope(app: Api, next_middleware: Callable[[Api], Response[Any]]) -> Response[Any]:
    require_scope(app.current_event.http_method, app.scopes)
    return next_middleware(app)
