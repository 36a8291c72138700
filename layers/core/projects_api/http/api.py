"""The resolver that every route's function is made with."""

import base64
import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain.rules import require_scope
from projects_api.http.errors import LIST, NOT_UTF8, TOO_DEEP, TOO_LONG_A_NUMBER, answer_errors
from projects_api.model.entities import Caller, Email, Scope
from projects_api.model.errors import NotAllowedError
from projects_api.model.ids import UserId
from projects_api.storage.clients import deadline
from projects_api.telemetry import Metric

logger = Logger()

#: How deep a body may be nested. None that is valid needs more than 1.
DEEPEST = 1_000

ProjectPath = Annotated[UUID, Path(description="The project's id.")]
ExportPath = Annotated[UUID, Path(description="The export's id.")]
UserPath = Annotated[UUID, Path(description="The member's user id.")]
Offset = Annotated[int, Query(ge=0, description="How many to skip.")]
Cursor = Annotated[str | None, Query(max_length=512, description="The last page's next_cursor.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A text of your own: a repeat with the same one within a day gets the first answer.",
    ),
]


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
        answer_errors(self)
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
            answer = self.resolve(_as_json(event), context)
        status = answer["statusCode"]
        logger.info("answered", extra={"status": status})
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            telemetry.count(Metric.STORAGE_UNAVAILABLE)
        elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            telemetry.count(Metric.SERVER_ERRORS)
        return answer


def _as_json(event: dict[str, Any]) -> dict[str, Any]:
    """The event with a body of JSON, whatever the client calls it: ``curl -d`` calls everything a form.

    What the validation could not even try to parse is replaced by a sentence, which it then refuses.
    """
    if "body" not in event:
        return event
    body = event["body"] or ""
    try:
        text = base64.b64decode(body).decode() if event.get("isBase64Encoded") else body
        content = json.loads(text) if text else None
        if isinstance(content, list):
            text = LIST  # Powertools would take the first of it
        elif _is_deep(content):
            text = TOO_DEEP
    except json.JSONDecodeError:
        pass  # the validation says where
    except UnicodeDecodeError:
        text = NOT_UTF8
    except RecursionError:
        text = TOO_DEEP
    except ValueError:
        text = TOO_LONG_A_NUMBER
    headers = {name: value for name, value in event.get("headers", {}).items() if name.lower() != "content-type"}
    return event | {
        "body": text,
        "isBase64Encoded": False,
        "headers": headers | {"content-type": "application/json"},
    }


def _is_deep(content: Any) -> bool:
    """Whether JSON is nested more than ``DEEPEST``: who reads it again may have less of a stack left for it."""
    layer = [content]
    for _ in range(DEEPEST):
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(layer)


def _require_scope(app: Api, next_middleware: Callable[[Api], Response[Any]]) -> Response[Any]:
    require_scope(app.current_event.http_method, app.scopes)
    return next_middleware(app)
