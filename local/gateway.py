"""The HTTP API: SAM CLI's gateway with the routes, events and authorizer of template.yaml.

``LocalApigwService`` is the server of ``sam local start-api``. It is not a public interface, so aws-sam-cli is pinned
to one version. It behaves like a REST API, so this module corrects what an HTTP API does differently.
"""

import json
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import flask
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.local.apigw.local_apigw_service import LocalApigwService
from samcli.local.apigw.service_error_responses import ServiceErrorResponses
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.function_runner import FunctionError, FunctionRunner
from local.stack import ROOT
from local.template import load_template

logger = logging.getLogger(__name__)

#: The largest request body, in bytes (API Gateway, "Quotas for configuring and running an HTTP API").
MAX_BODY_SIZE = 10 << 20

#: The largest event, in bytes of JSON with headers and body (Lambda, "Lambda quotas": 6 MB for a request).
MAX_EVENT_SIZE = 6 << 20

#: The response body for a request over either limit. AWS does not document the gateway's response to a large event.
TOO_LARGE_BODY = '{"message":"Request Entity Too Large"}'

#: The response body of SAM CLI when the authorizer denies a request.
SAM_CLI_DENIED_BODY = ServiceErrorResponses._LAMBDA_AUTHORIZER_NOT_AUTHORIZED

#: Warnings of SAM CLI about normal operation: that there is an authorizer, that it denies a request, and redirects.
EXPECTED_WARNINGS = (
    "does not guarantee 100% fidelity",
    "Lambda authorizer failed to invoke",
    "Lambda returned empty body",
)

#: Invokes a function by its logical id with an event and returns the response.
type Invoke = Callable[[str, Any], Any]


class LambdaRunner:
    """The runner that ``LocalApigwService`` invokes functions with. It needs no containers, unlike SAM CLI's own.

    Args:
        invoke: Invokes the function.
    """

    def __init__(self, invoke: Invoke) -> None:
        self._invoke = invoke

    def is_debugging(self) -> bool:
        """Return whether a debugger is attached to the functions, which is never so."""
        return False

    def invoke(self, function_identifier: str, event: str, *, stdout: Any, **_: Any) -> None:
        """Invoke a function and write its response to ``stdout`` as JSON."""
        stdout.write_str(json.dumps(self._respond(function_identifier, event)))

    def _respond(self, function: str, event_json: str) -> Any:
        event = json.loads(event_json)
        if "requestContext" in event:
            now = datetime.now(UTC)  # SAM CLI's times are those of its import, and in seconds
            event["requestContext"] |= {
                "requestId": flask.g.request_id,
                "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "timeEpoch": int(now.timestamp() * 1000),
            }
        if event.get("type") == "REQUEST":  # an authorizer's event: API Gateway does not send it the body
            event.pop("body", None)
        elif len(event_json.encode()) > MAX_EVENT_SIZE:
            return {"statusCode": 413, "headers": {"Content-Type": "application/json"}, "body": TOO_LARGE_BODY}
        try:
            return self._invoke(function, event)
        except FunctionError as error:
            logger.warning("%s", error)
            return {"statusCode": 500, "body": json.dumps({"message": "Internal Server Error"})}


class Gateway:
    """A server of the API on ``http://127.0.0.1:port``. It runs until `stop` is called.

    Args:
        functions: The functions of the stack.
        port: The port to listen on, or 0 for a free one.

    Attributes:
        port: The port that the server listens on.
    """

    def __init__(self, functions: FunctionRunner, port: int) -> None:
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1",
            port,
            create_app(functions.invoke, port, read_cors(["*"])),
            threaded=True,
            request_handler=_SilentRequestHandler,
        )
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()


@dataclass(frozen=True, slots=True)
class Cors:
    """The CORS configuration of an HTTP API.

    See https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html.

    Attributes:
        origins: The web origins that may call the API. ``*`` allows any.
        preflight_headers: The headers of the response to a preflight request from one of the origins.
        response_headers: The headers of the other responses to requests from one of the origins.
    """

    origins: list[str]
    preflight_headers: dict[str, str]
    response_headers: dict[str, str]

    def allow(self, origin: str) -> dict[str, str]:
        """Return the header that allows an origin, or no header if the origin is not allowed."""
        if "*" in self.origins:
            return {"Access-Control-Allow-Origin": "*"}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"} if origin in self.origins else {}


def read_cors(origins: list[str]) -> Cors:
    """Return the CORS configuration of template.yaml if its parameter ``CorsOrigins`` names some origins."""
    for resource in load_template()["Resources"].values():
        if resource["Type"] == "AWS::Serverless::HttpApi":
            _, declared, _ = resource["Properties"]["CorsConfiguration"]["Fn::If"]
            return Cors(
                origins=origins,
                preflight_headers={
                    "Access-Control-Allow-Methods": ",".join(declared["allowMethods"]),
                    "Access-Control-Allow-Headers": ",".join(declared["allowHeaders"]),
                    "Access-Control-Max-Age": str(declared["maxAge"]),
                },
                response_headers={"Access-Control-Expose-Headers": ",".join(declared["exposeHeaders"])},
            )
    raise KeyError("AWS::Serverless::HttpApi")


def create_app(invoke: Invoke, port: int = 0, cors: Cors | None = None) -> flask.Flask:
    """Return the API as a WSGI application.

    Args:
        invoke: Invokes a function.
        port: The port in the ``X-Forwarded-Port`` header of events.
        cors: The web origins that may call the API. None allows no other origin, as an API without a configuration.
    """
    stacks, _ = SamLocalStackProvider.get_stacks(str(ROOT / "template.yaml"))
    api = ApiProvider(stacks).api
    api.binary_media_types_set = {"*/*"}  # a body may be other than UTF-8
    service = LocalApigwService(api, LambdaRunner(invoke), port=port, host="127.0.0.1")
    service.create()
    app: flask.Flask = service._app
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_SIZE
    app.url_map.merge_slashes = False  # API Gateway has no route for a path with two slashes

    def respond_to_preflight() -> flask.Response | None:
        """Respond to a preflight request of a browser. API Gateway does that for any path."""
        request = flask.request
        if not cors or not _is_preflight(request):
            return None
        allowed = cors.allow(request.headers["Origin"])
        return flask.Response(status=204, headers=allowed | cors.preflight_headers if allowed else None)

    def replace_cors_headers(response: flask.Response) -> flask.Response:
        """Set the CORS headers of the configuration. API Gateway ignores those of the functions."""
        if not cors or _is_preflight(flask.request):
            return response
        for name in [name for name, _ in response.headers if name.lower().startswith("access-control-")]:
            del response.headers[name]
        allowed = cors.allow(flask.request.headers["Origin"]) if "Origin" in flask.request.headers else {}
        if allowed:
            response.headers.update(allowed | cors.response_headers)
        return response

    app.before_request(_assign_request_id)
    app.before_request(respond_to_preflight)
    app.before_request(_reject_undeclared_routes)
    app.after_request(_complete_response)
    app.after_request(replace_cors_headers)
    app.register_error_handler(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large_response)
    for status in (404, 405):
        app.register_error_handler(status, _not_found_response)
    return app


def _is_unexpected(record: logging.LogRecord) -> bool:
    return not any(warning in record.getMessage() for warning in EXPECTED_WARNINGS)


for _logger_name in ("samcli.lib.providers.api_collector", "samcli.local.apigw.local_apigw_service"):
    logging.getLogger(_logger_name).addFilter(_is_unexpected)


class _SilentRequestHandler(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        """Log nothing, because the functions log each request."""


def _assign_request_id() -> None:
    """Give the request an id like one of API Gateway. SAM CLI has one id for all requests of a process."""
    flask.g.request_id = f"{secrets.token_urlsafe(11)}="


def _is_preflight(request: flask.Request) -> bool:
    return (
        request.method == "OPTIONS"
        and "Origin" in request.headers
        and "Access-Control-Request-Method" in request.headers
    )


def _reject_undeclared_routes() -> flask.Response | None:
    """Reject what Flask accepts and API Gateway does not: HEAD for GET, OPTIONS for any route, and a trailing slash."""
    undeclared = flask.request.method in {"HEAD", "OPTIONS"} or flask.request.path.endswith("/")
    return _not_found_response() if undeclared else None


def _complete_response(response: flask.Response) -> flask.Response:
    """Replace the body for a denied request by that of an HTTP API, and add the id of the request.

    ``LocalApigwService`` sends the body of a REST API.
    """
    response.headers["Apigw-Requestid"] = flask.g.request_id
    if response.status_code == HTTPStatus.FORBIDDEN and response.get_json(silent=True) == SAM_CLI_DENIED_BODY:
        response.set_data('{"message":"Forbidden"}')
    return response


def _not_found_response(*_: Any) -> flask.Response:
    """Return an HTTP API's response for an unknown route. ``LocalApigwService`` sends that of a REST API."""
    return flask.Response('{"message":"Not Found"}', status=404, mimetype="application/json")


def _too_large_response(*_: Any) -> flask.Response:
    return flask.Response(TOO_LARGE_BODY, status=413, mimetype="application/json")
