"""The API over HTTP: SAM CLI's own gateway, with the template's routes, events and authorizer.

``LocalApigwService`` is what ``sam local start-api`` stands on. It is not a public interface, which is why aws-sam-cli
is pin_artifacts to one version.
"""

import json
import logging
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import flask
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.local.apigw.local_apigw_service import LocalApigwService
from samcli.local.apigw.service_error_responses import ServiceErrorResponses
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local.function_runner import FunctionError, Functions
from local.stack import ROOT

logger = logging.getLogger(__name__)

#: How many bytes a body may have (API Gateway, "Quotas for configuring and running an HTTP API").
PAYLOAD = 10 << 20

#: How many bytes of JSON an event may have, headers and body and all (Lambda, "Lambda quotas": 6 MB for a request).
EVENT = 6 << 20

#: What is answered where a request is over either. AWS says of the second what it is, and not how the gateway puts it.
TOO_LARGE = '{"message":"Request Entity Too Large"}'

#: What SAM CLI answers in a refusing authorizer's name.
REFUSED = ServiceErrorResponses._LAMBDA_AUTHORIZER_NOT_AUTHORIZED

#: What SAM CLI warns of though it is as it should be: that we have an authorizer, that it refuses, and redirects.
USUAL = ("does not guarantee 100% fidelity", "Lambda authorizer failed to invoke", "Lambda returned empty body")

#: Runs a function, by its name in the template, with an event.
type Invoke = Callable[[str, Any], Any]


class Runner:
    """What ``LocalApigwService`` runs functions with: ours instead of containers."""

    def __init__(self, invoke: Invoke) -> None:
        self._invoke = invoke

    def is_debugging(self) -> bool:
        return False

    def invoke(self, function_identifier: str, event: str, *, stdout: Any, **_: Any) -> None:
        stdout.write_str(json.dumps(self._answer(function_identifier, event)))

    def _answer(self, function: str, event: str) -> Any:
        asked = json.loads(event)
        if asked.get("type") == "REQUEST":  # of an authorizer, which API Gateway shows no body
            asked.pop("body", None)
        elif len(event.encode()) > EVENT:
            return {"statusCode": 413, "headers": {"Content-Type": "application/json"}, "body": TOO_LARGE}
        try:
            return self._invoke(function, asked)
        except FunctionError as error:
            logger.warning("%s", error)
            return {"statusCode": 500, "body": json.dumps({"message": "Internal Server Error"})}


def create_app(invoke: Invoke, port: int = 0) -> flask.Flask:
    """The API as a WSGI application, whose functions ``invoke`` runs."""
    stacks, _ = SamLocalStackProvider.get_stacks(str(ROOT / "template.yaml"))
    api = ApiProvider(stacks).api
    api.binary_media_types_set = {"*/*"}  # a body need not be UTF-8
    service = LocalApigwService(api, Runner(invoke), port=port, host="127.0.0.1")
    service.create()
    app: flask.Flask = service._app
    app.config["MAX_CONTENT_LENGTH"] = PAYLOAD
    app.before_request(_only_what_is_declared)
    app.after_request(_forbidden)
    app.register_error_handler(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large)
    for status in (404, 405):
        app.register_error_handler(status, _not_found)
    return app


def _is_unusual(record: logging.LogRecord) -> bool:
    return not any(usual in record.getMessage() for usual in USUAL)


for _name in ("samcli.lib.providers.api_collector", "samcli.local.apigw.local_apigw_service"):
    logging.getLogger(_name).addFilter(_is_unusual)


class _RequestHandler(WSGIRequestHandler):
    def log_request(self, *_: Any) -> None:
        """Nothing: the functions log each request."""


class Gateway:
    """Serves the API on ``http://127.0.0.1:port`` until it is ended."""

    def __init__(self, functions: Functions, port: int) -> None:
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1", port, create_app(functions.invoke, port), threaded=True, request_handler=_RequestHandler
        )
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()


def _not_found(*_: Any) -> flask.Response:
    """What an HTTP API answers where it has no route; ``LocalApigwService`` answers as a REST API does."""
    return flask.Response('{"message":"Not Found"}', status=404, mimetype="application/json")


def _too_large(*_: Any) -> flask.Response:
    return flask.Response(TOO_LARGE, status=413, mimetype="application/json")


def _forbidden(answer: flask.Response) -> flask.Response:
    """What an HTTP API answers for an authorizer that refuses; ``LocalApigwService`` answers as a REST API does."""
    if answer.status_code == HTTPStatus.FORBIDDEN and answer.get_json(silent=True) == REFUSED:
        answer.set_data('{"message":"Forbidden"}')
    return answer


def _only_what_is_declared() -> flask.Response | None:
    """Flask adds HEAD to what answers GET, OPTIONS to all, and takes a slash at the end; API Gateway does not."""
    undeclared = flask.request.method in {"HEAD", "OPTIONS"} or flask.request.path.endswith("/")
    return _not_found() if undeclared else None
