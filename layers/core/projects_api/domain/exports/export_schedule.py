"""Scheduled exports of projects that have changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from aws_lambda_powertools import Logger

from projects_api.domain.exports import export_requests
from projects_api.domain.exports.export_recovery import is_stalled, send_messages
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.entities.activity_entry import SCHEDULE
from projects_api.entities.clock import now
from projects_api.entities.errors import ProjectsError, StorageUnavailableError
from projects_api.entities.export import Export, Trigger
from projects_api.entities.ids import ProjectId
from projects_api.storage.dynamodb import export_store, pending_work, project_store

logger = Logger(child=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The number of projects that got an export, and of those still due because theirs could not be started."""

    started: int = 0
    failed: int = 0


def start_scheduled(project_ids: Sequence[ProjectId]) -> Outcome:
    """Start or join an export of each project that is due, and queue the new ones together.

    A project is then no longer due, unless it changes meanwhile or its export fails or is cancelled. If the messages
    can't be sent, the recovery job sends them.
    """
    started = failed = 0
    new_exports = []
    for project_id in project_ids:
        try:
            export, needs_message = retry_on_conflict(partial(_start, project_id))
        except ProjectsError:
            logger.exception("Starting an export failed", extra={"project_id": project_id})
            failed += 1
            continue
        started += export is not None
        if export and needs_message:
            new_exports.append((project_id, export.id))
    if new_exports:
        try:
            send_messages(new_exports)
        except StorageUnavailableError:
            logger.warning("Some messages were not sent. The recovery job sends them.")
    return Outcome(started, failed)


def _start(project_id: ProjectId) -> tuple[Export | None, bool]:
    """Return the scheduled export, or None if the project was deleted, and whether the export needs a message.

    Raises:
        ConditionFailedError: The project or its latest export has changed meanwhile.
    """
    project = project_store.get(project_id)
    if project is None or project.deleted_at:
        return None, False
    latest = export_requests.find_joinable(project, Trigger.SCHEDULE)
    export = latest or export_requests.insert(project, Trigger.SCHEDULE, SCHEDULE)
    export_store.clear_due(project, export)
    return export, latest is None or is_stalled(latest)


def find_due_projects() -> Iterator[ProjectId]:
    """Return the due projects, the longest due first."""
    return pending_work.find_due_projects(by=now())
