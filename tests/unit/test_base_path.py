"""A custom domain with an API mapping, whose base path API Gateway passes to the functions."""

import json
from pathlib import Path
from typing import Any

import pytest

from projects_api.api.base_path import add_base_path, split_base_path
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.memory("about paths of requests")

EVENTS = Path(__file__).parents[2] / "events"


def build_event(path: str, route: str, user: Client, base_path: str, body: Any = None, **parameters: str) -> Any:
    event = json.loads((EVENTS / "get_project" / "caller_is_no_member.json").read_text())
    event |= {"routeKey": route, "rawPath": base_path + path, "pathParameters": parameters}
    event["requestContext"]["http"] |= {"path": base_path + path, "method": route.partition(" ")[0]}
    event["requestContext"]["authorizer"]["lambda"] |= {"user_id": user.user_id, "email": user.email}
    return event | ({"body": json.dumps(body)} if body else {})


@pytest.mark.parametrize("base_path", ["", "/ml", "/ml/v1", "/api"])
def test_routes_and_locations(app: InProcessApp, alice: Client, base_path: str) -> None:
    event = build_event("/api/projects", "POST /api/projects", alice, base_path, {"name": "n"})
    created = app.invoke("CreateProject", event)
    assert created["statusCode"] == 201
    project_id = json.loads(created["body"])["project_id"]
    assert created["headers"]["Location"] == f"{base_path}/api/projects/{project_id}"
    path = f"/api/projects/{project_id}"
    route = "GET /api/projects/{project_id}"
    read = app.invoke("GetProject", build_event(path, route, alice, base_path, project_id=project_id))
    assert read["statusCode"] == 200
    event = build_event(f"{path}/exports", f"POST {route[4:]}/exports", alice, base_path, project_id=project_id)
    started = app.invoke("StartExport", event)
    export_id = json.loads(started["body"])["export"]["id"]
    assert started["headers"]["Location"] == f"{base_path}{path}/exports/{export_id}"


@pytest.mark.parametrize(
    ("path", "route"), [("/api/projects", ""), ("/api/projects/1/x", "GET /api/projects/{project_id}"), ("", "GET /a")]
)
def test_path_without_base_path(path: str, route: str) -> None:
    event = {"rawPath": path, "routeKey": route}
    assert split_base_path(event) == ("", event)


def test_signed_url_is_unchanged() -> None:
    response = {"headers": {"Location": "https://bucket.s3.amazonaws.com/archive.zip"}}
    assert add_base_path("/ml", response) == response
