"""Projects, as clients see them."""

import json
import uuid
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupted


def test_a_created_project_can_be_read_at_once(alice: Client) -> None:
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
def test_a_project_that_does_not_validate_is_refused_and_changes_nothing(alice: Client, body: bytes) -> None:
    project_id = alice.create("Before")
    for method, path in (("POST", "/api/projects"), ("PUT", f"/api/projects/{project_id}")):
        answer = alice.request(method, path, body=body)
        assert answer.status == 422, answer
        for error in answer["detail"]:
            assert set(error) == {"loc", "msg", "type"}
    listed = alice.get("/api/projects")
    assert [project["name"] for project in listed["items"]] == ["Before"]


def test_names_and_descriptions_of_the_greatest_length_are_taken(alice: Client) -> None:
    name, description = "é" * 200, "d" * 2000
    created = alice.post("/api/projects", {"name": f" {name} ", "description": description})
    assert (created["project"]["name"], created["project"]["description"]) == (name, description)


def test_the_longest_list_in_any_script_fits_into_an_answer(alice: Client) -> None:
    alice.create("\N{CJK UNIFIED IDEOGRAPH-4E16}" * 200, description="\N{CJK UNIFIED IDEOGRAPH-754C}" * 2000)
    listed = alice.get("/api/projects?limit=500").body.decode()
    as_lambda_hands_it_on = json.dumps(listed, ensure_ascii=False).encode()
    assert 500 * len(as_lambda_hands_it_on) < 6 << 20


def test_a_body_is_json_whatever_it_is_called(alice: Client) -> None:
    sent = alice.post("/api/projects", {"name": "By curl -d"}, Content_Type="application/x-www-form-urlencoded")
    assert sent.status == 201


def test_a_repeat_with_the_same_idempotency_key_gets_the_first_answer(alice: Client, bob: Client) -> None:
    key, body = str(uuid.uuid4()), {"name": "Once", "description": "d"}
    first = alice.post("/api/projects", body, Idempotency_Key=key)
    alice.put(f"/api/projects/{first['project_id']}", {"name": "Renamed"})
    again = alice.post("/api/projects", body, Idempotency_Key=key)
    assert (again.status, again.json) == (201, first.json)
    assert alice.get("/api/projects")["total"] == 1
    assert bob.post("/api/projects", body, Idempotency_Key=key)["project_id"] != first["project_id"]
    other = alice.post("/api/projects", {"name": "Other"}, Idempotency_Key=key)
    assert other.status == 422
    assert alice.get("/api/projects")["total"] == 1


def test_an_update_keeps_a_description_that_is_left_out(alice: Client) -> None:
    project_id = alice.create("Before", description="Kept")
    updated = alice.put(f"/api/projects/{project_id}", {"name": " After "})
    assert updated.status == 200
    project = updated["project"]
    assert (project["name"], project["description"]) == ("After", "Kept")
    assert datetime.fromisoformat(project["updated_at"]) > datetime.fromisoformat(project["created_at"])
    assert (
        alice.put(f"/api/projects/{project_id}", {"name": "After", "description": ""})["project"]["description"] == ""
    )
    assert alice.get(f"/api/projects/{project_id}")["project"]["name"] == "After"


@pytest.mark.parametrize("project_id", ["01930000-0000-7000-8000-00000000dead", "no-uuid", "%00", "..%2f"])
def test_a_project_that_is_not_there_is_not_found(alice: Client, project_id: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = alice.request(method, f"/api/projects/{project_id}", {"name": "n"} if method == "PUT" else None)
        assert answer.status in {404, 422}


@pytest.fixture(scope="module")
def listed(app: InProcessApp) -> Client:
    """Somebody with twelve projects, two of them of one name, and counts that differ."""
    user = app.user("lister")
    for number in range(12):
        project_id = user.create(f"Name {number % 6} {'Straße' if number == 5 else ''}", description=f"About {number}")
        for count in range(number % 4):
            for kind in ("Dataset", "Model", "Experiment"):
                resource = {"id": str(uuid.uuid4()), "name": f"r{count}"}
                app.announce(f"{kind} Created", project_id, resource)
    app.process_queues()
    return user


def test_pages_neither_repeat_nor_skip_in_any_order(listed: Client) -> None:
    for field in ("created_at", "name", "dataset_count", "model_count", "experiment_count"):
        for direction in ("asc", "desc"):
            order = f"sort_field={field}&sort_direction={direction}"
            whole = listed.get(f"/api/projects?limit=500&{order}")["items"]
            assert len({project["id"] for project in whole}) == 12
            values = [(project[field].casefold() if field == "name" else project[field]) for project in whole]
            assert values == sorted(values, reverse=direction == "desc")
            pages: list[Any] = []
            for offset in range(0, 15, 5):
                page = listed.get(f"/api/projects?limit=5&offset={offset}&{order}")
                assert (page["total"], page["limit"], page["offset"]) == (12, 5, offset)
                pages += page["items"]
            assert pages == whole


def test_the_newest_project_comes_first(alice: Client) -> None:
    created = [alice.create() for _ in range(3)]
    assert [project["id"] for project in alice.get("/api/projects")["items"]] == created[::-1]


@pytest.mark.parametrize("query", ["", "sort_field=name&", "search=name&"])
def test_behind_the_last_project_there_is_an_empty_page(listed: Client, query: str) -> None:
    for offset in (12, 1_000_001, 10**30):
        page = listed.get(f"/api/projects?{query}offset={offset}")
        assert (page.status, page["items"], page["offset"]) == (200, [], offset)
        assert page["total"] == listed.get(f"/api/projects?{query}")["total"]


@pytest.mark.parametrize(
    ("search", "found"), [("name 3", 2), ("ABOUT 1", 3), ("strasse", 1), ("nowhere", 0), ("", 12), ("%25", 0)]
)
def test_search_finds_a_part_of_a_name_or_description_in_any_case(listed: Client, search: str, found: int) -> None:
    answer = listed.get(f"/api/projects?limit=2&search={search}")
    assert answer["total"] == found
    assert len(answer["items"]) == min(found, 2)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=abc", "limit=", "limit=1&limit=2", "offset=-1", "offset=1.5", "sort_field=owner",
     "sort_direction=up"],
)  # fmt: skip
def test_a_query_that_does_not_validate_is_refused(alice: Client, query: str) -> None:
    answer = alice.get(f"/api/projects?{query}")
    assert answer.status == 422
    assert answer["detail"][0]["loc"] == ["query", query.partition("=")[0]]


def test_unknown_query_parameters_are_ignored(alice: Client) -> None:
    assert alice.get("/api/projects?colour=blue").status == 200


@pytest.mark.parametrize(("projects", "limit"), [(1, 50), (2, 2), (3, 2)])
def test_the_total_is_right_whatever_goes_while_a_list_is_read(
    app: InProcessApp, alice: Client, bob: Client, projects: int, limit: int
) -> None:
    """Of a deletion and of a removal, before each call."""
    calls = 1
    while calls:
        ids = [bob.create(f"{number}") for number in range(projects)]
        for id_ in ids:
            bob.post(f"/api/projects/{id_}/members", {"email": alice.email, "role": "viewer"})
        path = f"/api/projects/{ids[-1]}" if calls % 2 else f"/api/projects/{ids[-1]}/members/{alice.user_id}"
        with interrupted(calls // 2, partial(bob.delete, path)) as made:
            page = alice.get(f"/api/projects?limit={limit}")
        assert page["total"] in {projects - 1, projects}
        assert len(page["items"]) == min(page["total"], limit)
        for id_ in ids:
            bob.delete(f"/api/projects/{id_}")
        app.process_queues()
        calls = calls + 1 if calls // 2 < len(made) else 0
