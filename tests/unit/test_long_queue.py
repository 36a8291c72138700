"""A long queue does not multiply itself: messages are sent once, in batches and in due order."""

import heapq
from collections import deque
from datetime import datetime, timedelta
from typing import Any

import pytest

from projects_api.domain import recovery
from projects_api.domain.exports import export_recovery
from projects_api.entities.clock import now
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.export import Export, ExportStatus, Trigger
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import clients, sqs
from projects_api.storage.dynamodb import export_store, pending_work
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

DUE_PROJECTS = 10_000
WORKERS = 10
EXPORT_TIME = timedelta(seconds=20)

START = datetime.fromisoformat("2026-02-10T03:00:00+00:00")


class Simulation:
    """The export queue, its workers and the recovery job, with a clock that jumps from minute to minute.

    Attributes:
        exports: The unfinished exports.
        messages: The number of messages that were sent.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        self.exports: dict[ExportId, datetime] = {}
        self.queue: deque[ExportId] = deque()
        self.messages = 0
        monkeypatch.setattr(recovery, "now", lambda: self.now)
        monkeypatch.setattr(export_recovery, "now", lambda: self.now)
        monkeypatch.setattr(sqs, "send_exports", self._send)
        monkeypatch.setattr(export_store, "postpone_recovery", self._postpone)
        monkeypatch.setattr(export_store, "get_many", lambda ids: [self._export(id_) for _, id_ in ids])
        monkeypatch.setattr(pending_work, "find_stalled_exports", self._find_stalled)
        monkeypatch.setattr(pending_work, "find_stalled_purges", lambda **_: iter(()))
        monkeypatch.setattr(pending_work, "find_retired_archives", lambda **_: iter(()))
        for step in ("announcements.send_overdue", "upload_completion.resume_due", "uploaded_files.delete_overdue"):
            monkeypatch.setattr(f"projects_api.domain.{step}", lambda **_: 0)
        monkeypatch.setattr(pending_work, "find_stalled_imports", lambda **_: iter(()))

    def _send(self, exports: list[tuple[ProjectId, ExportId]]) -> list[bool]:
        self.messages += len(exports)
        self.queue.extend(export_id for _, export_id in exports)
        return [True for _ in exports]

    def _postpone(self, _: ProjectId, export_id: ExportId, *, until: datetime) -> None:
        if export_id in self.exports:
            self.exports[export_id] = until

    def _find_stalled(self, *, by: datetime) -> list[tuple[ProjectId, ExportId]]:
        due = sorted((due_at, export_id) for export_id, due_at in self.exports.items() if due_at < by)
        return [(ProjectId("p"), export_id) for _, export_id in due]

    def _export(self, export_id: ExportId) -> Export:
        return Export(
            id=export_id,
            project_id=ProjectId("p"),
            status=ExportStatus.PENDING,
            trigger=Trigger.SCHEDULE,
            created_at=START,
            expires_at=START + timedelta(days=7),
            stalled_at=self.exports[export_id],
        )

    def run(self) -> None:
        """Start all exports like the schedule, and run workers and the recovery job until no export is unfinished."""
        self.exports = {ExportId(str(number)): START + sqs.MESSAGE_TIMEOUT for number in range(DUE_PROJECTS)}
        export_recovery.send_messages([(ProjectId("p"), export_id) for export_id in self.exports])
        workers = [self.now] * WORKERS
        while self.exports:
            self.now += timedelta(minutes=1)
            while self.queue and workers[0] <= self.now:
                free_at = heapq.heappop(workers)
                known = self.exports.pop(self.queue.popleft(), None)
                heapq.heappush(workers, free_at + (EXPORT_TIME if known else timedelta(0)))
            recovery.resume_stalled()


@pytest.mark.exhaustive
def test_messages_of_ten_thousand_due_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue takes five and a half hours. With a timeout of five minutes, as before, it would multiply."""
    simulation = Simulation(monkeypatch)
    simulation.run()
    assert simulation.messages == DUE_PROJECTS
    monkeypatch.setattr(sqs, "QUEUE_TIMEOUT", sqs.MESSAGE_TIMEOUT)
    before = Simulation(monkeypatch)
    before.run()
    assert before.messages > 6 * DUE_PROJECTS
    print(f"\n{DUE_PROJECTS} due projects: {simulation.messages} messages, before: {before.messages}")


def test_schedule_stops_before_its_timeout(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run fails, so that Lambda retries it, and the retry continues."""
    project_id = alice.create()
    with monkeypatch.context() as patch:
        patch.setattr("functions_schedule_exports.TIME_RESERVE", 10**9)
        with pytest.raises(Exception, match=r"^$") as error:
            app.invoke("ScheduleExports", {})
        assert type(error.value).__name__ == "ScheduleIncompleteError"
    assert alice.get(f"/api/projects/{project_id}/exports")["items"] == []
    app.invoke("ScheduleExports", {})
    assert [export["trigger"] for export in alice.get(f"/api/projects/{project_id}/exports")["items"]] == ["schedule"]
    app.process_queues()


def test_lost_messages_are_sent_in_batches(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request has ten messages. A message that SQS does not accept is sent by the next run."""
    project_ids = [alice.create(f"Project {number}") for number in range(12)]
    with monkeypatch.context() as patch:
        patch.setattr(sqs, "send_exports", lambda exports: [True for _ in exports])
        for project_id in project_ids:
            alice.post(f"/api/projects/{project_id}/exports")
    sizes: list[int] = []
    send = clients.sqs().send_message_batch

    def send_batch(**request: Any) -> Any:
        entries = request["Entries"]
        sizes.append(len(entries))
        response = send(**request | {"Entries": entries[1:]} if len(sizes) == 1 else request)
        return response | {"Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]}

    monkeypatch.setattr(clients.sqs(), "send_message_batch", send_batch)
    with pytest.raises(StorageUnavailableError):
        app.resume_stalled()
    assert sizes == [10, 2]
    monkeypatch.undo()
    assert app.resume_stalled()["resumed"] == 1
    app.process_queues()
    for project_id in project_ids:
        assert alice.get(f"/api/projects/{project_id}/exports")["items"][0]["status"] == "ready"


def test_longest_due_first(app: InProcessApp, alice: Client) -> None:
    project_ids = [alice.create(f"Project {number}") for number in range(8)]
    due = [project_id for project_id in pending_work.find_due_projects(by=now()) if project_id in project_ids]
    assert due == project_ids
