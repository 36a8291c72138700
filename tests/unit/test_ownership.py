"""Ownership: transfers by the owner and by operators, and users who are deactivated."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from projects_api.entities.errors import ActiveUserNotFoundError, ProjectNotFoundError, UserNotFoundError
from projects_api.storage import clients
from projects_api.storage.dynamodb import user_store
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp


def roles(client: Client, project_id: str) -> list[tuple[str, str]]:
    """Return the name and the role of each member, in the order of the list."""
    items = client.get(f"/api/projects/{project_id}/members")["items"]
    return [(item["name"], item["role"]) for item in items]


def test_transfer(app: InProcessApp, alice: Client, bob: Client) -> None:
    project_id = alice.create("Mine")
    path = f"/api/projects/{project_id}"
    carol = app.create_user("carol")
    for client in (carol, bob):
        alice.post(f"{path}/members", {"email": client.email, "role": "viewer"})
    response = alice.put(f"{path}/owner", {"email": bob.email.upper()})
    assert (response.status, response["project"]["role"]) == (200, "admin")
    assert roles(bob, project_id) == [("Bob", "owner"), ("Alice", "admin"), ("Carol", "viewer")]
    assert bob.get(path)["project"]["updated_at"] == response["project"]["updated_at"]
    repeated = alice.put(f"{path}/owner", {"email": bob.email})
    assert (repeated.status, repeated.json) == (200, response.json)
    assert carol.put(f"{path}/owner", {"email": bob.email}).status == 403
    assert bob.put(f"{path}/owner", {"email": bob.email})["project"]["role"] == "owner"
    assert alice.delete(path).status == 403
    assert alice.delete(f"{path}/members/{alice.user_id}").status == 200
    assert alice.put(f"{path}/owner", {"email": bob.email}).status == 404
    assert bob.delete(f"{path}/members/{bob.user_id}").status == 409
    (entry,) = bob.get(f"{path}/activity?action=project.transferred")["items"]
    assert (entry["actor"]["name"], entry["before"]["owner_name"], entry["after"]["owner_name"]) == (
        "Alice",
        "Alice",
        "Bob",
    )
    assert app.find_broken_invariants() == []
    assert bob.delete(path).status == 200
    app.process_queues()
    assert app.find_items(project_id) == []


def test_who_cannot_become_owner(app: InProcessApp, alice: Client, bob: Client) -> None:
    path = f"/api/projects/{alice.create()}"
    assert alice.put(f"{path}/owner", {"email": bob.email}).status == 404
    assert alice.put(f"{path}/owner", {"email": "nobody@example.com"}).status == 404
    assert alice.put(f"{path}/owner", {"email": "nobody"}).status == 422
    alice.post(f"{path}/members", {"email": bob.email, "role": "admin"})
    assert bob.put(f"{path}/owner", {"email": bob.email}).status == 403
    app.invoke("DeactivateUser", {"email": bob.email})
    assert alice.put(f"{path}/owner", {"email": bob.email}).status == 409
    assert alice.get(path)["project"]["role"] == "owner"


def test_transfer_by_operator(app: InProcessApp, alice: Client, bob: Client) -> None:
    project_id = alice.create()
    event = {"project_id": project_id, "email": bob.email}
    result = app.invoke("TransferProject", event)
    assert result["owner"] == {"user_id": bob.user_id, "email": bob.email, "name": "Bob"}
    assert app.invoke("TransferProject", event) == result
    assert roles(bob, project_id) == [("Bob", "owner"), ("Alice", "admin")]
    entries = bob.get(f"/api/projects/{project_id}/activity")["items"]
    assert [(entry["action"], entry["actor"]["service"]) for entry in entries] == [
        ("project.transferred", "operator"),
        ("project.created", None),
    ]
    with pytest.raises(UserNotFoundError):
        app.invoke("TransferProject", event | {"email": "nobody@example.com"})
    alice_id = alice.create()
    alice.delete(f"/api/projects/{alice_id}")
    with pytest.raises(ProjectNotFoundError):
        app.invoke("TransferProject", {"project_id": alice_id, "email": bob.email})


@pytest.mark.parametrize("first", ["transfer", "deactivate"])
def test_offboarding(app: InProcessApp, alice: Client, bob: Client, first: str) -> None:
    """In either order, the deactivated owner is not a member afterwards, and another user owns the project."""
    project_id = alice.create()
    event = {"project_id": project_id, "email": bob.email}
    if first == "transfer":
        app.invoke("TransferProject", event)
        result = app.invoke("DeactivateUser", {"email": alice.email})
        assert (result["owned_project_ids"], result["member_project_ids"]) == ([], [project_id])
    else:
        result = app.invoke("DeactivateUser", {"email": alice.email})
        assert (result["owned_project_ids"], result["member_project_ids"]) == ([project_id], [])
    assert result["project_count"] == 1
    for _ in range(2):
        app.invoke("TransferProject", event)
        assert roles(bob, project_id) == [("Bob", "owner")]
    assert bob.get(f"/api/projects/{project_id}")["project"]["member_count"] == 1
    assert app.find_broken_invariants() == []


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_removal_of_previous_owner_states_their_role(app: InProcessApp, alice: Client, bob: Client, role: str) -> None:
    """The new owner may have changed it since the transfer."""
    project_id = alice.create()
    event = {"project_id": project_id, "email": bob.email}
    app.invoke("TransferProject", event)
    bob.post(f"/api/projects/{project_id}/members", {"email": alice.email, "role": role})
    app.invoke("DeactivateUser", {"email": alice.email})
    app.invoke("TransferProject", event)
    (removal,) = bob.get(f"/api/projects/{project_id}/activity?action=member.removed")["items"]
    assert removal["before"] == {"role": role}


def test_deactivated_user(app: InProcessApp, alice: Client, bob: Client) -> None:
    other_key = app.invoke("CreateApiKey", {"email": bob.email, "scopes": ["read"]})["api_key"]
    result = app.invoke("DeactivateUser", {"email": f" {bob.email.upper()}"})
    assert result["deactivated_at"]
    assert all(key["revoked_at"] for key in result["keys"])
    assert len(result["keys"]) == 2
    for key in (bob.api_key, other_key):
        assert Client(app.send, key).get("/api/projects").status in {401, 403}
    again = app.invoke("DeactivateUser", {"email": bob.email})
    assert (again["deactivated_at"], again["keys"]) == (result["deactivated_at"], result["keys"])
    with pytest.raises(ActiveUserNotFoundError):
        app.invoke("CreateApiKey", {"email": bob.email, "scopes": ["read"]})
    project_id = alice.create()
    assert alice.post(f"/api/projects/{project_id}/members", {"email": bob.email}).status == 404
    with pytest.raises(ActiveUserNotFoundError):
        app.invoke("TransferProject", {"project_id": project_id, "email": bob.email})
    users: list[Any] = []
    cursor = None
    while True:
        page = app.invoke("ListUsers", {"limit": 1, "cursor": cursor})
        users += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    listed = {user["email"]: user["deactivated_at"] for user in users}
    assert listed[bob.email] == result["deactivated_at"]
    assert listed[alice.email] is None
    assert app.find_broken_invariants() == []


def test_keys_of_a_deactivation_that_stopped_half_way(
    app: InProcessApp, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(user_store, "revoke_api_key", stop)
        with pytest.raises(MemoryError):
            app.invoke("DeactivateUser", {"email": bob.email})
    assert bob.get("/api/projects").status in {401, 403}
    (key,) = app.invoke("ListApiKeys", {"email": bob.email})["items"]
    assert key["revoked_at"] is None
    (key,) = app.invoke("DeactivateUser", {"email": bob.email})["keys"]
    assert key["revoked_at"]


def test_last_use_of_a_key(app: InProcessApp, bob: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day is written by the first request of the day, and a failure rejects nobody."""
    written: list[Any] = []
    events = clients.dynamodb().meta.events

    def count(params: Any, **_: Any) -> None:
        if "last_used_on" in params["UpdateExpression"]:
            written.append(params)

    def fail(params: Any, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "UpdateItem")

    def last_use() -> Any:
        (key,) = app.invoke("ListApiKeys", {"email": bob.email})["items"]
        assert "secret" not in json.dumps(key)
        return key["last_used_on"]

    assert last_use() is None
    events.register_first("before-parameter-build.dynamodb.UpdateItem", fail)
    assert bob.get("/api/projects").status == 200
    events.unregister("before-parameter-build.dynamodb.UpdateItem", fail)
    assert last_use() is None
    events.register_first("before-parameter-build.dynamodb.UpdateItem", count)
    try:
        for days in (0, 0, 1, 1, 0):
            day = datetime.now(UTC) + timedelta(days=days)
            monkeypatch.setattr("projects_api.domain.users.now", lambda day=day: day)
            assert bob.get("/api/projects").status == 200
    finally:
        events.unregister("before-parameter-build.dynamodb.UpdateItem", count)
    assert len(written) == 2
    assert last_use() == (datetime.now(UTC) + timedelta(days=1)).date().isoformat()


def test_me(app: InProcessApp, alice: Client) -> None:
    expires_at = "2099-01-01T00:00:00Z"
    event = {"email": alice.email, "scopes": ["read", "admin"], "expires_at": expires_at}
    key = app.invoke("CreateApiKey", event)
    me = Client(app.send, key["api_key"]).get("/api/me")
    assert me.json == {
        "user": {"id": alice.user_id, "email": alice.email, "name": "Alice"},
        "key": {
            "id": key["key_id"],
            "scopes": ["admin", "read"],
            "created_at": key["created_at"],
            "expires_at": expires_at,
        },
    }
    assert alice.get("/api/me")["key"]["expires_at"] is None
