"""Members and what their roles let them do."""

import uuid

import pytest

from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp


def test_a_member_is_added_and_their_role_changed(alice: Client, bob: Client) -> None:
    project_id = alice.create()
    added = alice.post(f"/api/projects/{project_id}/members", {"email": bob.email.upper()})
    assert added.status == 201
    member = added["member"]
    assert (member["user_id"], member["email"], member["role"]) == (bob.user_id, bob.email, "editor")
    changed = alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "viewer"})
    assert changed.status == 200
    assert changed["member"] == member | {"role": "viewer"}
    again = alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "viewer"})
    assert (again.status, again["member"]) == (200, changed["member"])
    members = alice.get(f"/api/projects/{project_id}/members")
    assert [one["user_id"] for one in members["items"]] == [alice.user_id, bob.user_id]
    assert (members["total"], members["limit"], members["offset"]) == (2, 50, 0)
    assert bob.get("/api/projects")["items"][0]["role"] == "viewer"
    assert bob.get(f"/api/projects/{project_id}")["project"]["role"] == "viewer"


def test_members_are_listed_the_owner_first_and_then_as_they_joined(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    joined = [alice.user_id]
    for number in range(7):
        user = app.user(f"user{number}")
        alice.post(f"/api/projects/{project_id}/members", {"email": user.email})
        joined.append(user.user_id)
    pages = [alice.get(f"/api/projects/{project_id}/members?limit=3&offset={offset}") for offset in (0, 3, 6, 9)]
    assert [one["user_id"] for page in pages for one in page["items"]] == joined
    assert {page["total"] for page in pages} == {8}


def test_behind_the_last_member_there_is_an_empty_page(alice: Client) -> None:
    page = alice.get(f"/api/projects/{alice.create()}/members?offset={10**30}")
    assert (page.status, page["items"], page["total"], page["offset"]) == (200, [], 1, 10**30)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "offset=-1", "limit=x"])
def test_a_query_of_members_that_does_not_validate_is_refused(alice: Client, query: str) -> None:
    assert alice.get(f"/api/projects/{alice.create()}/members?{query}").status == 422


def test_who_cannot_be_added(alice: Client, bob: Client) -> None:
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


def test_the_owner_stays(alice: Client) -> None:
    project_id = alice.create()
    assert alice.delete(f"/api/projects/{project_id}/members/{alice.user_id}").status == 409
    assert alice.get(f"/api/projects/{project_id}")["project"]["role"] == "owner"


def test_a_member_leaves_and_is_removed(alice: Client, bob: Client) -> None:
    project_id = alice.create()
    for leaver in (bob, alice):
        alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
        assert leaver.delete(f"/api/projects/{project_id}/members/{bob.user_id}").json == {"ok": True}
        assert bob.get(f"/api/projects/{project_id}").status == 404
        assert bob.get("/api/projects").json == {"items": [], "total": 0, "limit": 50, "offset": 0}
        assert alice.get(f"/api/projects/{project_id}/members")["total"] == 1
    assert alice.delete(f"/api/projects/{project_id}/members/{bob.user_id}").status == 404
    assert alice.delete(f"/api/projects/{project_id}/members/no-uuid").status == 422
