"""The local gateway: what API Gateway does before and after a function."""

import json
import time
from typing import Any

import flask
import pytest

from local.function_runner import FunctionError
from local.gateway import Cors, create_app, read_cors

ORIGIN = "https://app.example.com"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization,content-type",
}
KEY = {"Authorization": "Bearer prj_x"}


class Functions:
    """Functions that record their events. The function itself responds with CORS headers of its own."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def invoke(self, name: str, event: Any) -> Any:
        self.events.append((name, event))
        if event.get("type") == "REQUEST":
            return {"isAuthorized": event["headers"].get("Authorization") == KEY["Authorization"], "context": {}}
        if name == "DeleteProject":
            raise FunctionError(name, "Runtime.ExitError", "The function's process ended.")
        return {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "https://evil.example"}, "body": "{}"}


def start(cors: Cors | None) -> tuple[flask.Flask, Functions]:
    functions = Functions()
    return create_app(functions.invoke, cors=cors), functions


@pytest.mark.parametrize("path", ["/api/projects", "/api/projects/1/exports", "/api/nothing"])
def test_preflight(path: str) -> None:
    """Any path responds to a preflight request, without a key and without a function, with the template's headers."""
    app, functions = start(read_cors(["*"]))
    response = app.test_client().options(path, headers=PREFLIGHT)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Methods"] == "GET,POST,PUT,DELETE"
    allowed = response.headers["Access-Control-Allow-Headers"].split(",")
    assert {"authorization", "content-type", "accept", "idempotency-key"} <= set(allowed)
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert functions.events == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/projects", KEY, 200),
        ("GET", "/api/projects", {}, 401),
        ("GET", "/api/projects", {"Authorization": "Bearer prj_other"}, 403),
        ("GET", "/api/nothing", KEY, 404),
        ("DELETE", "/api/projects/1", KEY, 500),
    ],
)
def test_response_to_page_of_another_origin(method: str, path: str, headers: dict[str, str], status: int) -> None:
    """A page may read every response, errors included. The configuration's headers replace those of functions."""
    app, _ = start(read_cors(["*"]))
    response = app.test_client().open(path, method=method, headers=headers | {"Origin": ORIGIN})
    assert response.status_code == status
    assert response.headers.get_all("Access-Control-Allow-Origin") == ["*"]
    assert "retry-after" in response.headers["Access-Control-Expose-Headers"].split(",")


def test_no_origin() -> None:
    app, _ = start(read_cors(["*"]))
    response = app.test_client().get("/api/projects", headers=KEY)
    assert not [name for name, _ in response.headers if name.startswith("Access-Control-")]
    assert app.test_client().options("/api/projects").status_code == 404


def test_listed_origins() -> None:
    """With a list of origins, the one of the request is allowed, and others are not."""
    app, _ = start(read_cors(["https://other.example.com", ORIGIN]))
    client = app.test_client()
    assert client.options("/api/projects", headers=PREFLIGHT).headers["Access-Control-Allow-Origin"] == ORIGIN
    response = client.get("/api/projects", headers=KEY | {"Origin": ORIGIN})
    assert (response.headers["Access-Control-Allow-Origin"], response.headers["Vary"]) == (ORIGIN, "Origin")
    for response in (
        client.options("/api/projects", headers=PREFLIGHT | {"Origin": "https://evil.example"}),
        client.get("/api/projects", headers=KEY | {"Origin": "https://evil.example"}),
    ):
        assert "Access-Control-Allow-Origin" not in response.headers


def test_without_configuration() -> None:
    """Without origins, as by default in the template, the API responds to no preflight request."""
    app, _ = start(None)
    assert app.test_client().options("/api/projects", headers=PREFLIGHT).status_code == 404


def test_request_context() -> None:
    """Each request has an id of its own, which the response has too, and the time in milliseconds."""
    app, functions = start(None)
    responses = [app.test_client().get("/api/projects", headers=KEY) for _ in range(3)]
    contexts = [event["requestContext"] for name, event in functions.events if name == "ListProjects"]
    assert [context["requestId"] for context in contexts] == [
        response.headers["Apigw-Requestid"] for response in responses
    ]
    assert len({context["requestId"] for context in contexts}) == 3
    assert all(0 <= time.time() * 1000 - context["timeEpoch"] < 60_000 for context in contexts), json.dumps(contexts)
    authorizer_ids = [
        event["requestContext"]["requestId"]
        for _, event in functions.events
        if event.get("type") == "REQUEST" and "requestContext" in event
    ]
    assert authorizer_ids == [context["requestId"] for context in contexts]
