"""Projects: creating, reading, updating, listing and searching them."""

import json
import uuid
from functools import partial
from typing import Any

import pytest

from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupt_call


def test_created_project_is_visible(alice: Client) -> None:
    created = alice.post("/api/projects", {"name": "  Fraud ", "description": "Cards"})
    assert created.status == 201
    project = created["project"]
    assert project["id"] == created["project_id"]
    assert (project["name"], project["description"], project["status"]) == ("Fraud", "Cards", "active")
    assert (project["dataset_count"], project["experiment_count"], project["model_count"]) == (0, 0, 0)
    assert project["role"] == "owner"
    assert project["created_at"] == project["updated_at"]
    assert project["created_at"].endswith("Z")
    assert alice.get(f"/api/projects/{project['id']}")["project"] == project
    listed = alice.get("/api/projects")
    assert listed.json == {"items": [project], "total": 1, "limit": 50, "offset": 0}


@pytest.mark.memory("rejected before any call to an engine")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'["name"]',
        b'"name"',
        b"null",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"name": ""}',
        b'{"name": " \\t "}',
        b'{"name": null}',
        b'{"name": 5}',
        b'{"name": "\\ud800"}',
        b'{"name": "' + b"n" * 201 + b'"}',
        b'{"name": "n", "description": "' + b"d" * 2001 + b'"}',
        b'{"name": "n", "description": 5}',
    ],
)
def test_invalid_body_changes_nothing(alice: Client, body: bytes) -> None:
    project_id = alice.create("Before")
    for method, path in (("POST", "/api/projects"), ("PUT", f"/api/projects/{project_id}")):
        response = alice.request(method, path, body=body)
        assert response.status == 422, response
        for error in response["detail"]:
            assert set(error) == {"loc", "msg", "type"}
    listed = alice.get("/api/projects")
    assert [project["name"] for project in listed["items"]] == ["Before"]


def test_longest_name_and_description(alice: Client) -> None:
    name, description = "é" * 200, "d" * 2000
    created = alice.post("/api/projects", {"name": f" {name} ", "description": description})
    assert (created["project"]["name"], created["project"]["description"]) == (name, description)


def test_longest_list_fits_into_response(alice: Client) -> None:
    """A list of 500 projects with the longest texts is smaller than Lambda's limit for a response, 6 MB."""
    alice.create("\N{CJK UNIFIED IDEOGRAPH-4E16}" * 200, description="\N{CJK UNIFIED IDEOGRAPH-754C}" * 2000)
    listed = alice.get("/api/projects?limit=500").body.decode()
    encoded = json.dumps(listed, ensure_ascii=False).encode()
    assert 500 * len(encoded) < 6 << 20


def test_content_type_of_curl(alice: Client) -> None:
    sent = alice.post("/api/projects", {"name": "By curl -d"}, Content_Type="application/x-www-form-urlencoded")
    assert sent.status == 201


def test_idempotency_key(alice: Client, bob: Client) -> None:
    key, body = str(uuid.uuid4()), {"name": "Once", "description": "d"}
    first = alice.post("/api/projects", body, Idempotency_Key=key)
    alice.put(f"/api/projects/{first['project_id']}", {"name": "Renamed"})
    repeated = alice.post("/api/projects", body, Idempotency_Key=key)
    assert (repeated.status, repeated.json) == (201, first.json)
    assert alice.get("/api/projects")["total"] == 1
    assert bob.post("/api/projects", body, Idempotency_Key=key)["project_id"] != first["project_id"]
    other = alice.post("/api/projects", {"name": "Other"}, Idempotency_Key=key)
    assert other.status == 422
    assert alice.get("/api/projects")["total"] == 1


def test_update_keeps_omitted_description(alice: Client) -> None:
    project_id = alice.create("Before", description="Kept")
    updated = alice.put(f"/api/projects/{project_id}", {"name": " After "})
    assert updated.status == 200
    project = updated["project"]
    assert (project["name"], project["description"]) == ("After", "Kept")
    assert project["updated_at"] >= project["created_at"]
    assert (
        alice.put(f"/api/projects/{project_id}", {"name": "After", "description": ""})["project"]["description"] == ""
    )
    assert alice.get(f"/api/projects/{project_id}")["project"]["name"] == "After"


@pytest.mark.parametrize("project_id", ["01930000-0000-7000-8000-00000000dead", "no-uuid", "%00", "..%2f"])
def test_unknown_project(alice: Client, project_id: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        response = alice.request(method, f"/api/projects/{project_id}", {"name": "n"} if method == "PUT" else None)
        assert response.status in {404, 422}


@pytest.fixture(scope="module")
def lister(app: InProcessApp) -> Client:
    """Create a user with twelve projects. Pairs of them share a name, and their resource counts differ."""
    user = app.create_user("lister")
    for number in range(12):
        project_id = user.create(f"Name {number % 6} {'Straße' if number == 5 else ''}", description=f"About {number}")
        for count in range(number % 4):
            for kind in ("Dataset", "Model", "Experiment"):
                resource = {"id": str(uuid.uuid4()), "name": f"r{count}"}
                app.publish_event(f"{kind} Created", project_id, resource)
    app.process_queues()
    return user


def test_pages_cover_the_list_in_any_order(lister: Client) -> None:
    for field in ("created_at", "name", "dataset_count", "model_count", "experiment_count"):
        for direction in ("asc", "desc"):
            order = f"sort_field={field}&sort_direction={direction}"
            whole = lister.get(f"/api/projects?limit=500&{order}")["items"]
            assert len({project["id"] for project in whole}) == 12
            values = [(project[field].casefold() if field == "name" else project[field]) for project in whole]
            assert values == sorted(values, reverse=direction == "desc")
            pages: list[Any] = []
            for offset in range(0, 15, 5):
                page = lister.get(f"/api/projects?limit=5&offset={offset}&{order}")
                assert (page["total"], page["limit"], page["offset"]) == (12, 5, offset)
                pages += page["items"]
            assert pages == whole


def test_default_order_is_newest_first(alice: Client) -> None:
    created = [alice.create() for _ in range(3)]
    assert [project["id"] for project in alice.get("/api/projects")["items"]] == created[::-1]


@pytest.mark.parametrize("query", ["", "sort_field=name&", "search=name&"])
def test_offset_after_last_project(lister: Client, query: str) -> None:
    for offset in (12, 1_000_001, 10**30):
        page = lister.get(f"/api/projects?{query}offset={offset}")
        assert (page.status, page["items"], page["offset"]) == (200, [], offset)
        assert page["total"] == lister.get(f"/api/projects?{query}")["total"]


@pytest.mark.memory("the function searches, not the table")
@pytest.mark.parametrize(
    ("search", "expected_total"), [("name 3", 2), ("ABOUT 1", 3), ("strasse", 1), ("nowhere", 0), ("", 12), ("%25", 0)]
)
def test_search(lister: Client, search: str, expected_total: int) -> None:
    """A search finds a part of a name or description, and ignores case."""
    response = lister.get(f"/api/projects?limit=2&search={search}")
    assert response["total"] == expected_total
    assert len(response["items"]) == min(expected_total, 2)


@pytest.mark.memory("rejected before any call to an engine")
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=abc", "limit=", "limit=1&limit=2", "offset=-1", "offset=1.5", "sort_field=owner",
     "sort_direction=up"],
)  # fmt: skip
def test_invalid_query(alice: Client, query: str) -> None:
    response = alice.get(f"/api/projects?{query}")
    assert response.status == 422
    assert response["detail"][0]["loc"] == ["query", query.partition("=")[0]]


def test_unknown_query_parameters_are_ignored(alice: Client) -> None:
    assert alice.get("/api/projects?colour=blue").status == 200


@pytest.mark.exhaustive
@pytest.mark.memory("interrupted between two calls, a function does the same on every engine")
@pytest.mark.parametrize(("project_count", "limit"), [(1, 50), (2, 2), (3, 2)])
def test_project_disappears_while_listing(
    app: InProcessApp, alice: Client, bob: Client, project_count: int, limit: int
) -> None:
    """The total is correct if a project is deleted, or the user removed from it, before any call of the request."""
    step = 1
    while step:
        ids = [bob.create(f"{number}") for number in range(project_count)]
        for id_ in ids:
            bob.post(f"/api/projects/{id_}/members", {"email": alice.email, "role": "viewer"})
        path = f"/api/projects/{ids[-1]}" if step % 2 else f"/api/projects/{ids[-1]}/members/{alice.user_id}"
        with interrupt_call(step // 2, partial(bob.delete, path)) as calls:
            page = alice.get(f"/api/projects?limit={limit}")
        assert page["total"] in {project_count - 1, project_count}
        assert len(page["items"]) == min(page["total"], limit)
        for id_ in ids:
            bob.delete(f"/api/projects/{id_}")
        app.process_queues()
        step = step + 1 if step // 2 < len(calls) else 0
