"""The activity: who changed what, and when. `test_any_sequence.py` compares it with a model after any sequence."""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from projects_api.entities.activity_entry import (
    MAX_VALUES_SIZE,
    ActivityAction,
    ActivityObject,
    Actor,
    cut_values,
    new_entry,
)
from projects_api.entities.ids import ProjectId, UserId
from projects_api.storage import clients
from projects_api.storage.dynamodb import activity_store, resource_store, table
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

AT = "2026-02-10T09:00:00Z"


def read_activity(client: Client, project_id: str, query: str = "") -> list[Any]:
    """Return all entries, page by page."""
    path = f"/api/projects/{project_id}/activity?{query}"
    page = client.get(path)
    entries = list(page["items"])
    while page["next_cursor"]:
        page = client.get(f"{path}&cursor={page['next_cursor']}")
        entries += page["items"]
    return entries


def test_entries_of_a_project_and_its_members(alice: Client, bob: Client) -> None:
    project_id = alice.create("Before", description="d")
    path = f"/api/projects/{project_id}"
    alice.put(path, {"name": "After"})
    alice.put(path, {"name": "After"})
    for role in ("viewer", "viewer", "editor"):
        alice.post(f"{path}/members", {"email": bob.email, "role": role})
    bob.delete(f"{path}/members/{bob.user_id}")
    alice.post(f"{path}/members", {"email": bob.email})
    alice.delete(f"{path}/members/{bob.user_id}")
    entries = read_activity(alice, project_id)[::-1]
    project = {"type": "project", "id": project_id}
    owner = {"user_id": alice.user_id, "name": "Alice", "service": None}
    member = {"type": "member", "id": bob.user_id, "name": "Bob"}
    assert [(entry["action"], entry["object"], entry["before"], entry["after"]) for entry in entries] == [
        ("project.created", project | {"name": "Before"}, None, {"name": "Before", "description": "d"}),
        ("project.updated", project | {"name": "Before"}, {"name": "Before"}, {"name": "After"}),
        ("member.added", member, None, {"role": "viewer"}),
        ("member.role_changed", member, {"role": "viewer"}, {"role": "editor"}),
        ("member.left", member, {"role": "editor"}, None),
        ("member.added", member, None, {"role": "editor"}),
        ("member.removed", member, {"role": "editor"}, None),
    ]
    assert [entry["actor"]["user_id"] for entry in entries].count(bob.user_id) == 1
    assert entries[0]["actor"] == owner
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["at"]) for entry in entries)
    assert alice.email not in json.dumps(entries)


def test_events_of_one_resource_in_one_transaction(app: InProcessApp, alice: Client) -> None:
    project_id, resource = alice.create(), {"id": str(uuid.uuid4()), "name": "d", "rows": 1}
    other = {"id": str(uuid.uuid4()), "name": "other"}
    events = [
        app.build_event("Dataset Created", project_id, resource, AT),
        app.build_event("Dataset Updated", project_id, resource | {"rows": 2}, "2026-02-10T09:00:01Z"),
        app.build_event("Dataset Created", project_id, other, AT),
    ]
    assert app.deliver([*events, *events]) == []
    assert app.deliver(events) == []
    created = read_activity(alice, project_id, "action=resource.created")
    assert {entry["object"]["name"]: entry["after"] for entry in created} == {
        "d": {"name": "d", "timestamp": "2026-02-10T09:00:01Z", "fields.rows": 2},
        "other": {"name": "other", "timestamp": "2026-02-10T09:00:00Z"},
    }
    assert {entry["actor"]["service"] for entry in created} == {"mlplatform.tests"}
    update = app.build_event("Dataset Updated", project_id, resource | {"rows": 3}, "2026-02-10T09:00:02Z")
    deletion = app.build_event("Dataset Deleted", project_id, {"id": resource["id"]}, "2026-02-10T09:00:03Z")
    for event in (update, deletion, deletion):
        assert app.deliver([event]) == []
    (updated,) = read_activity(alice, project_id, "action=resource.updated")
    assert (updated["before"]["fields.rows"], updated["after"]["fields.rows"]) == (2, 3)
    assert "name" not in updated["after"]
    (deleted,) = read_activity(alice, project_id, "action=resource.deleted")
    assert (deleted["object"]["name"], deleted["after"]) == ("d", None)
    assert len(read_activity(alice, project_id)) == 5


def test_entries_of_exports(app: InProcessApp, alice: Client, bob: Client) -> None:
    project_id = alice.create()
    path = f"/api/projects/{project_id}"
    alice.post(f"{path}/members", {"email": bob.email, "role": "viewer"})
    export_id = bob.post(f"{path}/exports")["export"]["id"]
    assert alice.post(f"{path}/exports")["export"]["id"] == export_id
    app.process_queues()
    alice.put(path, {"name": "Changed"})
    app.invoke("ScheduleExports", {})
    app.process_queues()
    entries = [entry for entry in read_activity(alice, project_id)[::-1] if entry["object"]["type"] == "export"]
    actors = [entry["actor"]["user_id"] or entry["actor"]["service"] for entry in entries]
    assert [entry["action"] for entry in entries] == ["export.started", "export.ready"] * 2
    assert actors == [bob.user_id, bob.user_id, "schedule", "schedule"]
    assert entries[1]["after"]["size_bytes"] > 0


def test_failed_export(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    artifact = {"key": f"projects/{project_id}/missing", "content_type": "text/plain"}
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact}
    app.deliver([app.build_event("Model Created", project_id, resource)])
    alice.post(f"/api/projects/{project_id}/exports")
    app.process_queues()
    (failed,) = read_activity(alice, project_id, "action=export.failed")
    assert "missing" in failed["after"]["error"]


def test_first_download_of_each_user(app: InProcessApp, alice: Client, bob: Client) -> None:
    project_id = alice.create()
    path = f"/api/projects/{project_id}"
    alice.post(f"{path}/members", {"email": bob.email, "role": "viewer"})
    export_id = alice.post(f"{path}/exports")["export"]["id"]
    app.process_queues()
    assert read_activity(alice, project_id, "action=export.downloaded") == []
    for client in (alice, bob, alice):
        assert client.get(f"{path}/exports/{export_id}")["export"]["download_url"]
        assert client.get(f"{path}/exports")["items"][0]["download_url"]
        assert client.get(f"{path}/export").status == 200
    downloads = read_activity(alice, project_id, "action=export.downloaded")
    assert [entry["actor"]["user_id"] for entry in downloads] == [bob.user_id, alice.user_id]
    assert {entry["object"]["id"] for entry in downloads} == {export_id}


def test_download_that_cannot_be_recorded(app: InProcessApp, alice: Client) -> None:
    """The download is not refused, and the next one is recorded."""
    project_id = alice.create()
    path = f"/api/projects/{project_id}"
    export_id = alice.post(f"{path}/exports")["export"]["id"]
    app.process_queues()

    def fail(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "TransactWriteItems")

    events = clients.dynamodb().meta.events
    events.register_first("before-call.dynamodb.TransactWriteItems", fail)
    try:
        assert alice.get(f"{path}/exports/{export_id}")["export"]["download_url"]
    finally:
        events.unregister("before-call.dynamodb.TransactWriteItems", fail)
    assert read_activity(alice, project_id, "action=export.downloaded") == []
    assert alice.get(f"{path}/exports/{export_id}").status == 200
    assert len(read_activity(alice, project_id, "action=export.downloaded")) == 1


@pytest.fixture
def old_project(app: InProcessApp, alice: Client) -> Iterator[str]:
    """Create a project of fourteen months ago with 5 entries in each of its first, its second and its last month."""
    created_at = datetime.now(UTC) - timedelta(days=400)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("projects_api.domain.projects.now", lambda: created_at)
        project_id = alice.create()
    for days in (0.1, 32, 390):
        for number in range(5):
            entry = new_entry(
                ProjectId(project_id),
                Actor(UserId(alice.user_id), "Alice"),
                ActivityAction.PROJECT_UPDATED if number % 2 else ActivityAction.MEMBER_ADDED,
                ActivityObject("project", project_id, f"{days} {number}"),
            )
            at = created_at + timedelta(days=days, seconds=number)
            table.transact(activity_store.build_entry(type(entry)(**{**_fields(entry), "at": at})))
    yield project_id
    app.reset()


def _fields(entry: Any) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__dataclass_fields__}


def test_pages_across_months(old_project: str, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [f"{days} {number}" for days in (390, 32, 0.1) for number in range(4, -1, -1)]
    updates = [name for name in expected if int(name[-1]) % 2]
    for max_queries in (activity_store.MAX_QUERIES, 1):
        monkeypatch.setattr(activity_store, "MAX_QUERIES", max_queries)
        for limit in (1, 4, 100):
            for query, names in (("", [*expected]), ("&action=project.updated", updates)):
                entries = read_activity(alice, old_project, f"limit={limit}{query}")
                assert [entry["object"]["name"] for entry in entries if entry["action"] != "project.created"] == names


def test_expired_entries_are_not_shown(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB deletes them with a delay."""
    project_id = alice.create()
    monkeypatch.setenv("ACTIVITY_RETENTION_DAYS", "0")
    alice.put(f"/api/projects/{project_id}", {"name": "Expired"})
    assert [entry["action"] for entry in read_activity(alice, project_id)] == ["project.created"]


def test_purge_deletes_the_activity(old_project: str, app: InProcessApp, alice: Client) -> None:
    path = f"/api/projects/{old_project}"
    export_id = alice.post(f"{path}/exports")["export"]["id"]
    app.process_queues()
    assert alice.get(f"{path}/exports/{export_id}").status == 200
    assert len([item for item in app.find_items(old_project) if item["PK"]["S"].startswith("ACTIVITY#")]) == 20
    alice.delete(path)
    app.process_queues()
    assert app.find_items(old_project) == []


def test_cursor_belongs_to_its_list(alice: Client) -> None:
    projects = [alice.create() for _ in range(2)]
    for project_id in projects:
        for name in "abc":
            alice.put(f"/api/projects/{project_id}", {"name": name})
    path = f"/api/projects/{projects[0]}"
    cursor = alice.get(f"{path}/activity?limit=1")["next_cursor"]
    assert alice.get(f"{path}/activity?limit=2&cursor={cursor}").status == 200
    for other in (
        f"{path}/activity?action=project.updated&cursor={cursor}",
        f"/api/projects/{projects[1]}/activity?cursor={cursor}",
        f"{path}/timeline?cursor={cursor}",
        f"{path}/exports?cursor={cursor}",
        f"{path}/activity?cursor={cursor[:-2]}",
        f"{path}/activity?cursor=x{cursor}",
    ):
        response = alice.get(other)
        assert (response.status, response["detail"][0]["loc"]) == (422, ["query", "cursor"]), other


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)
values = st.none() | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), json_values)


@settings(max_examples=30)
@given(values, values, st.integers(1, 300), st.integers(1, 300))
def test_values_are_cut(before: Any, after: Any, count: int, length: int) -> None:
    for many in ({str(number): "ü" * length for number in range(count)}, {"ü" * length * 40: [0] * count}):
        for first, second in ((before, after), (before, many), (many, after), (many, many)):
            cut = cut_values(first, second)
            size = sum(len(json.dumps(one, ensure_ascii=False).encode()) for one in cut)
            assert size <= MAX_VALUES_SIZE
            assert [one is None for one in cut] == [first is None, second is None]
    if sum(len(json.dumps(one, ensure_ascii=False).encode()) for one in (before, after)) <= MAX_VALUES_SIZE:
        assert cut_values(before, after) == (before, after)


def test_largest_transaction(app: InProcessApp, alice: Client) -> None:
    """As many of the largest resources as a transaction takes fit into it with their entries."""
    project_id, count = alice.create(), resource_store.RESOURCES_PER_TRANSACTION
    sent: list[int] = []

    def measure(params: dict[str, Any], **_: Any) -> None:
        items = [json.dumps(next(iter(write.values())), ensure_ascii=False) for write in params["TransactItems"]]
        sent.extend([len(items), sum(len(item.encode()) for item in items)])

    resources = [
        {"id": str(uuid.uuid4()), "name": "ü" * 1024, "note": f"{number}" + "x" * 99_900} for number in range(count)
    ]
    events = clients.dynamodb().meta.events
    events.register_first("before-parameter-build.dynamodb.TransactWriteItems", measure)
    try:
        assert app.deliver([app.build_event("Model Created", project_id, one, AT) for one in resources]) == []
    finally:
        events.unregister("before-parameter-build.dynamodb.TransactWriteItems", measure)
    items, size = sent
    assert items == 1 + 2 * count <= 100
    assert size < 4_000_000
    assert len(read_activity(alice, project_id)) == 1 + count
