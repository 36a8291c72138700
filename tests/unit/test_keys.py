"""API keys: authentication, scopes and the functions that operators invoke."""

from datetime import UTC, datetime, timedelta

import pytest

from projects_api.entities import clock
from projects_api.entities.errors import ApiKeyNotFoundError, InvalidInputError, UserNotFoundError
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp


def test_invalid_keys(app: InProcessApp, alice: Client) -> None:
    """A request without a key gets 401, and one with an invalid key gets 401 or 403."""
    assert Client(app.send).get("/api/projects").status == 401
    key_id = alice.api_key.split("_")[1]
    for invalid_key in (
        "x",
        alice.api_key[:-1],
        f"{alice.api_key}x",
        f"prj_{key_id}_{'A' * 43}",
        f"prj_{'0' * 16}_{'A' * 43}",
    ):
        assert Client(app.send, invalid_key).get("/api/projects").status in {401, 403}
    for header in (f"Basic {alice.api_key}", "Bearer", alice.api_key):
        assert Client(app.send).get("/api/projects", Authorization=header).status in {401, 403}


def test_scopes(app: InProcessApp) -> None:
    reader, writer, admin = (app.create_user(scope, (scope,)) for scope in ("read", "write", "admin"))
    assert reader.get("/api/projects").status == 200
    rejected = reader.post("/api/projects", {"name": "n"})
    assert rejected.status == 403
    assert "write" in rejected["detail"]
    assert writer.get("/api/projects").status == 403
    project_id = writer.create()
    for method, path in (("DELETE", ""), ("PUT", ""), ("POST", "/members"), ("POST", "/exports")):
        body = {"name": "n", "email": "e@example.com"}
        assert reader.request(method, f"/api/projects/{project_id}{path}", body).status == 403
    assert admin.get(f"/api/projects/{admin.create()}").status == 200
    assert reader.get("/api/projects")["total"] == 0


def test_expired_and_revoked_keys(app: InProcessApp, monkeypatch: pytest.MonkeyPatch) -> None:
    user = app.create_user()
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    event = {"email": user.email, "scopes": ["read"], "expires_at": expires_at.isoformat()}
    key = app.invoke("CreateApiKey", event)
    client = Client(app.send, key["api_key"])
    assert client.get("/api/projects").status == 200
    monkeypatch.setattr("projects_api.domain.users.now", lambda: expires_at)
    assert client.get("/api/projects").status in {401, 403}
    assert user.get("/api/projects").status == 200
    revoked = app.invoke("RevokeApiKey", {"key_id": user.api_key.split("_")[1]})
    assert user.get("/api/projects").status in {401, 403}
    assert app.invoke("RevokeApiKey", {"key_id": revoked["key_id"]}) == revoked


def test_secret_is_stored_as_hash(app: InProcessApp, alice: Client) -> None:
    secret = alice.api_key.split("_", 2)[2]
    assert app.find_items(secret) == []
    assert len(app.find_items(alice.api_key.split("_")[1])) == 2  # the key, and the entry in the list of its user


def test_repeated_registration(app: InProcessApp, alice: Client) -> None:
    alice.create()
    again = app.invoke("RegisterUser", {"email": f" {alice.email.upper()} ", "name": "Somebody Else"})
    assert (again["user_id"], again["name"], again["project_count"]) == (alice.user_id, "Alice", 1)


def test_invalid_operator_events(app: InProcessApp, alice: Client) -> None:
    with pytest.raises(InvalidInputError):
        app.invoke("RegisterUser", {"email": "no address", "name": "N"})
    with pytest.raises(InvalidInputError):
        app.invoke("RegisterUser", {"email": "a@example.com", "name": " "})
    with pytest.raises(UserNotFoundError):
        app.invoke("CreateApiKey", {"email": "nobody@example.com", "scopes": ["read"]})
    with pytest.raises(InvalidInputError):
        app.invoke("CreateApiKey", {"email": alice.email, "scopes": []})
    with pytest.raises(InvalidInputError):
        app.invoke("CreateApiKey", {"email": alice.email, "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"})
    with pytest.raises(ApiKeyNotFoundError):
        app.invoke("RevokeApiKey", {"key_id": "0" * 16})


def test_time_format() -> None:
    moment = datetime(2026, 2, 10, 9, tzinfo=UTC)
    assert clock.rfc3339(moment) == "2026-02-10T09:00:00Z"
    assert clock.parse(clock.sortable(moment)) == moment
    assert clock.rfc3339(moment + timedelta(milliseconds=5)) == "2026-02-10T09:00:00Z"
