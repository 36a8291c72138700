"""Exports: started once for what a project is, joined by whoever asks meanwhile, kept until they expire."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from projects_api import settings
from projects_api.domain import projects
from projects_api.domain.exports.recovery import is_stalled, send_again
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require_membership
from projects_api.entities.clock import now
from projects_api.entities.errors import (
    ExportNotFoundError,
    InvalidInputError,
    ProjectNotFoundError,
    StorageUnavailableError,
)
from projects_api.entities.export import Export, ExportStatus, Trigger
from projects_api.entities.ids import ExportId, ProjectId, UserId, new_id
from projects_api.entities.project import Project
from projects_api.storage import sqs
from projects_api.storage.dynamodb import export_store
from projects_api.storage.s3 import archive_store

#: A signed URL's life.
URL_LIFETIME = timedelta(seconds=archive_store.URL_LIFETIME)

#: How long a plain GET of the archive waits for it, in seconds, and how long between two looks, at first and at most.
WAIT = 20.0
FIRST_POLL_DELAY, MAX_POLL_DELAY = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Download:
    """A signed URL of an archive."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ProjectExport:
    """An export, with its project, and with a URL where its archive is ready."""

    export: Export
    project: Project
    download: Download | None


def start(user_id: UserId, project_id: ProjectId) -> ProjectExport:
    """The export of the project as it is now: the last one, where nothing has changed, or else a new one.

    Raises:
        ProjectNotFoundError: The caller is no member of the project.
    """

    def attempt() -> ProjectExport:
        project = projects.get(user_id, project_id, Action.EXPORT).project
        return _signed(project, join_or_start(project, Trigger.REQUEST))

    return retry_on_conflict(attempt)


def join_or_start(project: Project, trigger: Trigger) -> Export:
    latest = export_store.get(project.id, project.latest_export_id) if project.latest_export_id else None
    if latest and _may_join(latest, project, trigger):
        if is_stalled(latest):
            with suppress(StorageUnavailableError):
                send_again(project.id, latest.id)
        return latest
    moment = now()
    export = Export(
        id=ExportId(new_id()),
        project_id=project.id,
        status=ExportStatus.PENDING,
        trigger=trigger,
        created_at=moment,
        expires_at=archive_expiry(moment),
        stalled_at=moment + sqs.MESSAGE_TIMEOUT,
    )
    export_store.insert(project, export)
    with suppress(StorageUnavailableError):  # it is there now, and is found by resume_stalled
        sqs.send_export(project.id, export.id)
    return export


def _may_join(export: Export, project: Project, trigger: Trigger) -> bool:
    """Whether who asks for the project as it is now gets it by an export that there is.

    Not by one whose archive is gone, as it is where ``ArchiveRetentionDays`` was lowered since. The schedule joins only
    an export of its own, which it started a moment ago.
    """
    if not _is_of_now(export, project):
        return False
    if trigger is Trigger.SCHEDULE:
        return export.trigger is Trigger.SCHEDULE
    return export.status is not ExportStatus.READY or archive_store.exists(project.id, export.id)


def _is_of_now(export: Export, project: Project) -> bool:
    """Whether an export holds, or will hold, what the project is now."""
    match export.status:
        case ExportStatus.PENDING:
            return True
        case ExportStatus.RUNNING:
            return export.revision in {0, project.revision}
        case ExportStatus.READY:
            return export.revision == project.revision
        case ExportStatus.FAILED:
            return False


def archive_expiry(moment: datetime) -> datetime:
    """When an export of ``moment`` expires, in whole seconds, as DynamoDB's time to live has it."""
    return moment.replace(microsecond=0) + timedelta(days=settings.archive_retention_days())


def wait(started: ProjectExport) -> ProjectExport:
    """The export when it is finished, or as it is after ``WAIT`` seconds.

    Raises:
        ProjectNotFoundError: The project was deleted meanwhile.
    """
    deadline, pause = time.monotonic() + WAIT, FIRST_POLL_DELAY
    export = started.export
    while export.status in {ExportStatus.PENDING, ExportStatus.RUNNING} and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 1.5, MAX_POLL_DELAY)
        seen = export_store.get(export.project_id, export.id)
        if seen is None:
            raise ProjectNotFoundError
        export = seen
    return _signed(started.project, export)


def read(ready: ProjectExport) -> bytes:
    """The archive of an export that is ready.

    Raises:
        ProjectNotFoundError: It was purged a moment ago.
    """
    archive = archive_store.read(archive_store.archive_key(ready.project.id, ready.export.id))
    if archive is None:
        raise ProjectNotFoundError
    return archive


def get(user_id: UserId, project_id: ProjectId, export_id: ExportId) -> ProjectExport:
    """One export of the project.

    Raises:
        ProjectNotFoundError: The caller is no member of the project.
        ExportNotFoundError: The project has no such export, or it has expired.
    """
    found, export = export_store.find(project_id, user_id, export_id)
    project = require_membership(found, Action.READ).project
    if export is None:
        raise ExportNotFoundError
    return _signed(project, export)


@dataclass(frozen=True, slots=True)
class ExportPage:
    exports: list[ProjectExport]
    next_cursor: str | None


def list_page(user_id: UserId, project_id: ProjectId, *, cursor: str | None, limit: int) -> ExportPage:
    """A page of the project's exports, newest first.

    Raises:
        ProjectNotFoundError: The caller is no member of the project.
        InvalidInputError: The cursor is not one of this list's.
    """
    try:
        after = ExportId(str(UUID(cursor))) if cursor else None
    except ValueError:
        raise InvalidInputError(
            "This is no cursor of this list: give a page's next_cursor, or none.", loc=("query", "cursor")
        ) from None
    project = projects.get(user_id, project_id).project
    found, more = export_store.page(project_id, after=after, limit=limit)
    return ExportPage([_signed(project, export) for export in found], found[-1].id if more else None)


def _signed(project: Project, export: Export) -> ProjectExport:
    if export.status is not ExportStatus.READY:
        return ProjectExport(export, project, None)
    expires_at = now() + URL_LIFETIME
    return ProjectExport(export, project, Download(archive_store.signed_url(project, export.id), expires_at))
