"""GET …/export: its redirects, and what it reports of an export that has failed."""

import uuid
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from projects_api.domain.exports import export_requests
from projects_api.entities.clock import now
from tests.support.api_client import Client
from tests.support.archives import finish_export
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.usefixtures("short_export_wait")


def lose_artifact(app: InProcessApp, project_id: str) -> None:
    """Record a model whose artifact does not exist, so that every export fails."""
    artifact = {"key": f"projects/{project_id}/missing.bin"}
    app.publish_event("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    app.process_queues()


def count_exports(client: Client, project_id: str) -> int:
    return len(client.get(f"/api/projects/{project_id}/exports")["items"])


def test_each_redirect_has_another_url(app: InProcessApp, alice: Client, project_id: str) -> None:
    """The new query is ignored, whatever it is, and the body says what to do."""
    path = f"/api/projects/{project_id}/export"
    url, urls = f"{path}?redirect=&limit=x", set()
    for _ in range(5):
        response = alice.get(url)
        assert (response.status, response.headers["Cache-Control"]) == (307, "no-store")
        assert response.headers["Content-Type"].startswith("text/plain")
        assert "not ready yet. Follow redirects" in response.body.decode()
        url = response.headers["Location"]
        assert urlsplit(url).path == path
        urls.add(url)
    assert len(urls) == 5
    app.process_queues()
    assert alice.get(url).body.startswith(b"PK")


def test_polling_client_learns_of_failure(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a minute, no poll starts another export. After it, one does."""
    lose_artifact(app, project_id)
    path = f"/api/projects/{project_id}/export"
    assert alice.get(path, Accept="application/json").status == 202
    started_at = now()
    for seconds in range(60):
        app.process_queues()
        monkeypatch.setattr(export_requests, "now", lambda seconds=seconds: started_at + timedelta(seconds=seconds))
        response = alice.get(path, Accept="application/json")
        assert response.status == 409
        assert "missing.bin" in response["detail"]
        assert (response["export"]["status"], response["export"]["download_url"]) == ("failed", None)
    plain = alice.get(path)
    assert (plain.status, set(plain.json)) == (409, {"detail"})
    assert count_exports(alice, project_id) == 1
    monkeypatch.setattr(export_requests, "now", lambda: now() + timedelta(seconds=61))
    assert alice.get(path, Accept="application/json").status == 202
    assert count_exports(alice, project_id) == 2
    app.process_queues()


def test_failure_of_earlier_state_is_not_reported(app: InProcessApp, alice: Client, project_id: str) -> None:
    lose_artifact(app, project_id)
    assert finish_export(app, alice, project_id).status == 409
    app.store_artifact(project_id, "missing.bin", b"here it is")
    alice.put(f"/api/projects/{project_id}", {"name": "Changed"})
    assert finish_export(app, alice, project_id)["export"]["status"] == "ready"


def test_post_does_not_wait_for_the_minute(app: InProcessApp, alice: Client, project_id: str) -> None:
    lose_artifact(app, project_id)
    failed = finish_export(app, alice, project_id)["export"]["id"]
    app.store_artifact(project_id, "missing.bin", b"here it is")
    started = alice.post(f"/api/projects/{project_id}/exports")
    assert (started.status, started["export"]["status"]) == (202, "pending")
    assert started["export"]["id"] != failed
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/export").status == 200


@pytest.mark.memory("depends on headers only")
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/json, text/plain, */*", "application/zip"),
        ("application/json", "application/json"),
        ("application/zip;q=0.5, application/json;q=0.4", "application/zip"),
        ("application/octet-stream, application/json;q=0.9", "application/octet-stream"),
        ("text/html,*/*;q=0.8", "application/zip"),
    ],
)
def test_media_type_is_negotiated(
    app: InProcessApp, alice: Client, project_id: str, accept: str, content_type: str
) -> None:
    finish_export(app, alice, project_id)
    response = alice.get(f"/api/projects/{project_id}/export", Accept=accept)
    assert (response.status, response.headers["Content-Type"]) == (200, content_type)
    assert response.body.startswith(b"{" if content_type == "application/json" else b"PK")


@pytest.mark.parametrize("headers", [{}, {"Idempotency_Key": "k"}])
def test_write_only_key_gets_no_url(app: InProcessApp, alice: Client, project_id: str, headers: dict[str, str]) -> None:
    """Keys that may read get one, also in responses to writes, and a repeat gets a fresh one."""
    finish_export(app, alice, project_id)
    path = f"/api/projects/{project_id}/exports"
    for scopes, has_url in (
        (["write"], False),
        (["read", "write"], True),
        (["admin"], True),
    ):
        key = app.invoke("CreateApiKey", {"email": alice.email, "scopes": scopes})["api_key"]
        client = Client(app.send, key, alice.user_id, alice.email)
        for _ in range(2):
            export = client.post(path, **headers)["export"]
            assert export["status"] == "ready"
            assert (export["download_url"] is not None) is has_url
            assert (export["download_url_expires_at"] is not None) is has_url


def test_archive_that_expires_soon_is_not_joined(
    app: InProcessApp, alice: Client, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No URL outlives its archive, and a client never gets one that is about to expire if it can get a new archive."""
    export = finish_export(app, alice, project_id)["export"]
    soon = now() + timedelta(days=7) - timedelta(minutes=10)
    monkeypatch.setattr(export_requests, "now", lambda: soon)
    url_expires_at = alice.get(f"/api/projects/{project_id}/exports/{export['id']}")["export"][
        "download_url_expires_at"
    ]
    assert url_expires_at == export["expires_at"]
    assert alice.post(f"/api/projects/{project_id}/exports")["export"]["id"] != export["id"]
    app.process_queues()


def test_fresh_export(app: InProcessApp, alice: Client, project_id: str) -> None:
    """It is new even if the latest export is up to date or unfinished, and later requests join it."""
    path = f"/api/projects/{project_id}/exports"
    ready = finish_export(app, alice, project_id)["export"]["id"]
    first, second = (alice.post(path, {"fresh": True})["export"]["id"] for _ in range(2))
    assert len({ready, first, second}) == 3
    assert [item["SK"]["S"] for item in app.find_items('"fresh"') if "fresh" in item] == [
        f"EXPORT#{first}",
        f"EXPORT#{second}",
    ]
    assert alice.post(path, {"fresh": False})["export"]["id"] == second
    assert alice.post(path, {})["export"]["id"] == second
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/export", Accept="application/json")["export"]["id"] == second


@pytest.mark.memory("rejected before any call to an engine")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"fresh": "true"}, 422),
        ({"fresh": 1}, 422),
        ({"fresh": None}, 422),
        ([], 422),
        ("fresh", 422),
        ({"other": True}, 202),
    ],
)
def test_body_of_request(app: InProcessApp, alice: Client, project_id: str, body: object, status: int) -> None:
    assert alice.post(f"/api/projects/{project_id}/exports", body).status == status
    assert count_exports(alice, project_id) == (1 if status == 202 else 0)
    app.process_queues()


def test_repeated_request_returns_first_export(app: InProcessApp, alice: Client, bob: Client, project_id: str) -> None:
    path, headers = f"/api/projects/{project_id}/exports", {"Idempotency_Key": str(uuid.uuid4())}
    first = alice.post(path, {"fresh": True}, **headers)["export"]["id"]
    app.process_queues()
    alice.put(f"/api/projects/{project_id}", {"name": "Changed"})
    for _ in range(2):
        repeated = alice.post(path, {"fresh": True}, **headers)["export"]
        assert (repeated["id"], repeated["status"]) == (first, "ready")
        assert repeated["download_url"]
    assert alice.post(path, {"fresh": False}, **headers).status == 422
    assert count_exports(alice, project_id) == 1
    alice.post(f"/api/projects/{project_id}/members", {"email": bob.email, "role": "editor"})
    assert bob.post(path, {"fresh": True}, **headers)["export"]["id"] != first  # the key of another user
    app.process_queues()


def test_repeat_of_joined_request(app: InProcessApp, alice: Client, project_id: str) -> None:
    """A request that joined an export claims its key too: the repeat returns that export after a change."""
    path, headers = f"/api/projects/{project_id}/exports", {"Idempotency_Key": str(uuid.uuid4())}
    ready = finish_export(app, alice, project_id)["export"]["id"]
    assert alice.post(path, **headers)["export"]["id"] == ready
    alice.put(f"/api/projects/{project_id}", {"name": "Changed"})
    assert alice.post(path, **headers)["export"]["id"] == ready
    assert alice.post(path)["export"]["id"] != ready
    app.process_queues()
