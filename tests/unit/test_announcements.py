"""Announcements: what the service puts on the bus, at least once, even if a function crashes at any of its calls."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from local.template import load_template
from projects_api.domain import announcements
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import now
from projects_api.entities.ids import AnnouncementId, new_id
from projects_api.storage import eventbridge
from tests.support.api_client import Client
from tests.support.fault_injection import Fault, inject_fault
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import CrashError
from tests.support.moto_snapshot import StorageSnapshot

pytestmark = pytest.mark.memory


def find_outbox(app: InProcessApp) -> list[Any]:
    return [item for item in app.find_items("ANNOUNCEMENT#") if item["PK"]["S"].startswith("ANNOUNCEMENT#")]


def test_project_announcements(app: InProcessApp, alice: Client) -> None:
    """Creating, updating and deleting a project is announced with its id, time and name, and nothing personal."""
    receive_events = app.listen()
    project_id = alice.create("Churn")
    alice.put(f"/api/projects/{project_id}", {"name": "Customer churn"})
    alice.put(f"/api/projects/{project_id}", {"name": "Customer churn"})  # changes nothing
    alice.delete(f"/api/projects/{project_id}")
    events = [event for event in receive_events() if event["detail"]["project_id"] == project_id]
    assert [(event["detail-type"], event["detail"]["name"]) for event in events] == [
        ("Project Created", "Churn"),
        ("Project Updated", "Customer churn"),
        ("Project Deleted", "Customer churn"),
    ]
    for event in events:
        assert event["source"] == "mlplatform.projects"
        assert event["detail"].keys() == {"project_id", "occurred_at", "announcement_id", "name", "user_id"}
        assert event["detail"]["user_id"] == alice.user_id
        assert "@" not in json.dumps(event["detail"])
        assert "http" not in json.dumps(event["detail"])
    assert find_outbox(app) == []


def test_own_events_do_not_return(app: InProcessApp, alice: Client) -> None:
    """The service's rule ignores its own events: those of projects and exports, and those with announced_by."""
    project_id = alice.create()
    app.publish_event("Project Updated", project_id, {"id": new_id(), "name": "x"})
    resource = {"id": new_id(), "name": "x"}
    detail = {"project_id": project_id, "occurred_at": "2026-02-10T09:00:00Z", "resource": resource}
    app.put_event("Dataset Created", detail | {"announced_by": "projects"})
    app.process_queues()
    assert app.take_dead_letters() == []
    assert alice.get(f"/api/projects/{project_id}/timeline")["events"] == []
    app.put_event("Dataset Created", detail)
    app.process_queues()
    assert len(alice.get(f"/api/projects/{project_id}/timeline")["events"]) == 1


def test_rule_names_every_own_detail_type() -> None:
    """A detail-type of the service that the rule does not ignore would end in the dead-letter queue each time."""
    pattern = load_template()["Resources"]["ResourceEvents"]["Properties"]["EventPattern"]
    (ignored,) = pattern["detail-type"]
    published = {announcements.PROJECT_CREATED, announcements.PROJECT_UPDATED, announcements.PROJECT_DELETED}
    published |= {"Project Export Ready", "Project Export Failed"}
    assert published <= set(ignored["anything-but"])


def test_batches_fit_a_request() -> None:
    """A batch has at most 10 announcements, and more than one only within the size limit."""
    sizes = [10] * 12 + [110_000] * 3 + [400_000, 10]
    batch = [
        Announcement(AnnouncementId(new_id()), "Dataset Created", {"text": "é" * (size // 2)}, now()) for size in sizes
    ]
    batches = [[len(detail.encode()) for _, detail in part] for part in eventbridge._batches(batch)]
    assert list(map(len, batches)) == [10, 4, 1, 1, 1]
    assert all(len(part) == 1 or sum(part) <= eventbridge.MAX_ENTRIES_SIZE for part in batches)


def test_rejected_entry_stays(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that the bus does not accept stays in the outbox, and the recovery job sends it."""
    monkeypatch.setattr(eventbridge, "_put_events", lambda events: [False for _ in events])
    alice.create()
    assert len(find_outbox(app)) == 1
    monkeypatch.undo()
    receive_events = app.listen()
    assert app.resume_stalled()["resumed"] == 1
    assert [event["detail-type"] for event in receive_events()] == ["Project Created"]
    assert find_outbox(app) == []


def test_recent_announcement_is_left_alone(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recovery job leaves an announcement to the function that made the change, as long as it can still run."""
    monkeypatch.setattr(announcements, "_send", lambda _: 0)
    alice.create()
    monkeypatch.undo()
    assert announcements.send_overdue(by=now() + timedelta(seconds=29)) == 0
    assert announcements.send_overdue(by=now() + timedelta(seconds=31)) == 1


#: Each request, the function that processes it, and its announcement.
REQUESTS: list[tuple[str, str, Callable[[Client, str], Any]]] = [
    ("CreateProject", "Project Created", lambda alice, _: alice.post("/api/projects", {"name": "n"})),
    ("UpdateProject", "Project Updated", lambda alice, url: alice.put(url, {"name": "other"})),
    ("DeleteProject", "Project Deleted", lambda alice, url: alice.delete(url)),
]


@pytest.mark.exhaustive
@pytest.mark.parametrize(("function", "detail_type", "send"), REQUESTS, ids=[row[0] for row in REQUESTS])
def test_crash_at_any_call(
    app: InProcessApp, alice: Client, function: str, detail_type: str, send: Callable[[Client, str], Any]
) -> None:
    """A change that took effect is announced at least once, and a change that did not is not announced."""
    url = f"/api/projects/{alice.create()}"
    receive_events = app.listen()
    snapshot = StorageSnapshot(app)
    with inject_fault(app, function) as network:
        send(alice, url)
    cells: Counter[str] = Counter()
    for number, call in enumerate(network.calls):
        for fault in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.RESPONSE_LOST):
            snapshot.restore()
            receive_events()
            before = app.find_items("PROJECT#")
            with inject_fault(app, function, failing_call=number, fault=fault), suppress(CrashError):
                send(alice, url)
            changed = app.find_items("PROJECT#") != before
            app.resume_stalled()
            announced = [event for event in receive_events() if event["detail-type"] == detail_type]
            assert bool(announced) is changed, (number, call, fault)
            assert find_outbox(app) == []
            app.process_queues()
            cells[call] += 1
    print(f"\n{function}: {cells.total()} crashes and lost responses in {len(network.calls)} calls: {dict(cells)}")
