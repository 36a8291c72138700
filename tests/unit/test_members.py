"""Members: adding, listing, changing and removing them."""

import uuid

import pytest

from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp


def test_add_member_and_change_role(alice: Client, bob: Client) -> None:
    project_id = alice.create()
    added = alice.post(f"/api/projects/{project_id}/members", {"email": bob.email.upper()})
    assert added.status == 201
    member = added["member"]
    assert (member["user_id"], member["email"], member["role"]) == (bob.user_id, bob.email, "editor")
    changed = alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "viewer"})
    assert changed.status == 200
    assert changed["member"] == member | {"role": "viewer"}
    repeated = alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "viewer"})
    assert (repeated.status, repeated["member"]) == (200, changed["member"])
    members = alice.get(f"/api/projects/{project_id}/members")
    assert [member["user_id"] for member in members["items"]] == [alice.user_id, bob.user_id]
    assert (members["total"], members["limit"], members["offset"]) == (2, 50, 0)
    assert bob.get("/api/projects")["items"][0]["role"] == "viewer"
    assert bob.get(f"/api/projects/{project_id}")["project"]["role"] == "viewer"


def test_idempotency_key(app: InProcessApp, alice: Client, bob: Client) -> None:
    project_id, other_id = alice.create(), alice.create()
    path, key = f"/api/projects/{project_id}/members", str(uuid.uuid4())
    body = {"email": bob.email, "role": "editor"}
    first = alice.post(path, body, Idempotency_Key=key)
    assert first.status == 201
    alice.post(path, {"email": bob.email, "role": "viewer"})
    assert (repeated := alice.post(path, body, Idempotency_Key=key)).status == 201
    assert repeated.json == first.json
    assert bob.get(f"/api/projects/{project_id}")["project"]["role"] == "viewer"
    alice.delete(f"{path}/{bob.user_id}")
    assert alice.post(path, body, Idempotency_Key=key).json == first.json
    assert bob.get(f"/api/projects/{project_id}").status == 404
    assert alice.post(path, body | {"role": "admin"}, Idempotency_Key=key).status == 422
    assert alice.post(f"/api/projects/{other_id}/members", body, Idempotency_Key=key).status == 201
    unchanged = alice.post(f"/api/projects/{other_id}/members", body, Idempotency_Key="no change")
    alice.delete(f"/api/projects/{other_id}/members/{bob.user_id}")
    assert unchanged.status == 200
    repeated = alice.post(f"/api/projects/{other_id}/members", body, Idempotency_Key="no change")
    assert (repeated.status, repeated.json) == (200, unchanged.json)
    for id_ in (project_id, other_id):
        alice.delete(f"/api/projects/{id_}")
    app.process_queues()
    assert app.find_items(project_id, other_id) == []


def test_order_of_members(app: InProcessApp, alice: Client) -> None:
    """The owner is first, followed by the members in the order in which they joined."""
    project_id = alice.create()
    joined = [alice.user_id]
    for number in range(7):
        user = app.create_user(f"user{number}")
        alice.post(f"/api/projects/{project_id}/members", {"email": user.email})
        joined.append(user.user_id)
    pages = [alice.get(f"/api/projects/{project_id}/members?limit=3&offset={offset}") for offset in (0, 3, 6, 9)]
    assert [member["user_id"] for page in pages for member in page["items"]] == joined
    assert {page["total"] for page in pages} == {8}


def test_offset_after_last_member(alice: Client) -> None:
    page = alice.get(f"/api/projects/{alice.create()}/members?offset={10**30}")
    assert (page.status, page["items"], page["total"], page["offset"]) == (200, [], 1, 10**30)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "offset=-1", "limit=x"])
def test_invalid_query(alice: Client, query: str) -> None:
    assert alice.get(f"/api/projects/{alice.create()}/members?{query}").status == 422


def test_rejected_members(alice: Client, bob: Client) -> None:
    project_id = alice.create()
    members = f"/api/projects/{project_id}/members"
    assert alice.post(members, {"email": f"{uuid.uuid4()}@example.com"}).status == 404
    assert alice.post(members, {"email": "nobody"}).status == 422
    assert alice.post(members, {"role": "viewer"}).status == 422
    assert alice.post(members, {"email": bob.email, "role": "owner"}).status == 422
    assert alice.post(members, {"email": bob.email, "role": "king"}).status == 422
    assert alice.post(members, {"email": alice.email, "role": "viewer"}).status == 409
    assert alice.get(members)["total"] == 1
    assert bob.get("/api/projects")["total"] == 0


def test_owner_cannot_leave(alice: Client) -> None:
    project_id = alice.create()
    assert alice.delete(f"/api/projects/{project_id}/members/{alice.user_id}").status == 409
    assert alice.get(f"/api/projects/{project_id}")["project"]["role"] == "owner"


def test_remove_member(alice: Client, bob: Client) -> None:
    project_id = alice.create()
    for remover in (bob, alice):
        alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
        assert remover.delete(f"/api/projects/{project_id}/members/{bob.user_id}").json == {"ok": True}
        assert bob.get(f"/api/projects/{project_id}").status == 404
        assert bob.get("/api/projects").json == {"items": [], "total": 0, "limit": 50, "offset": 0}
        assert alice.get(f"/api/projects/{project_id}/members")["total"] == 1
    assert alice.delete(f"/api/projects/{project_id}/members/{bob.user_id}").status == 404
    assert alice.delete(f"/api/projects/{project_id}/members/no-uuid").status == 422
