"""Requests for exports: start, join, wait for, get and list them.

Callers who request the same revision of a project share one export.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from projects_api import settings
from projects_api.domain import projects
from projects_api.domain.cursors import decode_cursor, encode_cursor
from projects_api.domain.exports.downloads import record_downloads
from projects_api.domain.exports.recovery import is_stalled, send_again
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require_membership
from projects_api.entities.activity import Actor
from projects_api.entities.clock import now
from projects_api.entities.errors import (
    ExportNotFoundError,
    ProjectNotFoundError,
    StorageUnavailableError,
)
from projects_api.entities.export import Export, ExportStatus, Trigger
from projects_api.entities.ids import ExportId, ProjectId, UserId, new_id
from projects_api.entities.project import Project
from projects_api.storage import sqs
from projects_api.storage.dynamodb import export_store
from projects_api.storage.s3 import archive_store

#: Lifetime of a signed URL.
URL_LIFETIME = timedelta(seconds=archive_store.URL_LIFETIME)

#: Longest time that ``wait`` waits for an export, in seconds.
WAIT = 20.0

#: Shortest and longest delay between two reads of the export, in seconds.
FIRST_POLL_DELAY, MAX_POLL_DELAY = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Download:
    """A signed URL of an archive, and the time at which the URL expires."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ProjectExport:
    """An export with its project, for one user, and with a download if the archive is ready."""

    export: Export
    project: Project
    actor: Actor
    download: Download | None = None


def start(user_id: UserId, project_id: ProjectId) -> ProjectExport:
    """Return an export of the current state of the project: the latest export if it is up to date, otherwise a new one.

    Raises:
        ProjectNotFoundError: The project does not exist, or the user is not a member of it.
        NotAllowedError: The role of the user does not allow exports.
        StorageUnavailableError: AWS is not available.
    """

    def attempt() -> ProjectExport:
        membership = projects.get(user_id, project_id, Action.EXPORT)
        export = join_or_start(membership.project, Trigger.REQUEST, membership.actor)
        return _with_downloads(ProjectExport(export, membership.project, membership.actor))[0]

    return retry_on_conflict(attempt)


def join_or_start(project: Project, trigger: Trigger, actor: Actor) -> Export:
    """Return the latest export of the project if the trigger may join it, otherwise start a new one.

    Raises:
        ConditionFailedError: Another export was started meanwhile, or the project was deleted.
    """
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
    export_store.insert(project, export, actor)
    with suppress(StorageUnavailableError):  # the export is stored, and resume_stalled sends the message later
        sqs.send_export(project.id, export.id)
    return export


def _may_join(export: Export, project: Project, trigger: Trigger) -> bool:
    """Return whether an existing export serves a new request for the current state of the project.

    A ready export does not if its archive no longer exists, as can happen after ``ArchiveRetentionDays`` was lowered.
    The schedule joins only exports that it started itself.
    """
    if not _is_up_to_date(export, project):
        return False
    if trigger is Trigger.SCHEDULE:
        return export.trigger is Trigger.SCHEDULE
    return export.status is not ExportStatus.READY or archive_store.exists(project.id, export.id)


def _is_up_to_date(export: Export, project: Project) -> bool:
    """Return whether an export contains, or will contain, the current state of the project."""
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
    """Return the time at which an export of ``moment`` expires.

    The time is in whole seconds, like DynamoDB's time to live
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html).
    """
    return moment.replace(microsecond=0) + timedelta(days=settings.archive_retention_days())


def wait(started: ProjectExport) -> ProjectExport:
    """Wait until the export is finished, for at most ``WAIT`` seconds, and return its current state.

    Raises:
        ProjectNotFoundError: The project was deleted meanwhile.
    """
    deadline, delay = time.monotonic() + WAIT, FIRST_POLL_DELAY
    export = started.export
    while export.status in {ExportStatus.PENDING, ExportStatus.RUNNING} and time.monotonic() < deadline:
        time.sleep(delay)
        delay = min(delay * 1.5, MAX_POLL_DELAY)
        current = export_store.get(export.project_id, export.id)
        if current is None:
            raise ProjectNotFoundError
        export = current
    return _with_downloads(replace(started, export=export))[0]


def read(ready: ProjectExport) -> bytes:
    """Return the archive of an export that is ready.

    Raises:
        ProjectNotFoundError: The archive no longer exists, because the project was purged meanwhile.
    """
    archive = archive_store.read(archive_store.archive_key(ready.project.id, ready.export.id))
    if archive is None:
        raise ProjectNotFoundError
    return archive


def get(user_id: UserId, project_id: ProjectId, export_id: ExportId) -> ProjectExport:
    """Return an export of the project.

    Raises:
        ProjectNotFoundError: The project does not exist, or the user is not a member of it.
        ExportNotFoundError: The export does not exist, or it has expired.
    """
    membership, export = export_store.get_with_membership(project_id, user_id, export_id)
    membership = require_membership(membership, Action.READ)
    if export is None:
        raise ExportNotFoundError
    return _with_downloads(ProjectExport(export, membership.project, membership.actor))[0]


@dataclass(frozen=True, slots=True)
class ExportPage:
    """A page of exports, and the cursor of the next page if there is one."""

    exports: list[ProjectExport]
    next_cursor: str | None


def list_page(user_id: UserId, project_id: ProjectId, *, cursor: str | None, limit: int) -> ExportPage:
    """Return a page of the project's exports, the newest first.

    Args:
        user_id: The user.
        project_id: The project.
        cursor: The ``next_cursor`` of the previous page, or None for the first page.
        limit: The maximum number of exports on the page.

    Raises:
        ProjectNotFoundError: The project does not exist, or the user is not a member of it.
        InvalidInputError: The cursor does not belong to this list.
    """
    scope = ["exports", project_id]
    after = decode_cursor(scope, cursor, lambda export_id: ExportId(str(UUID(export_id)))) if cursor else None
    membership = projects.get(user_id, project_id)
    exports, more = export_store.list_page(project_id, after=after, limit=limit)
    page = _with_downloads(*(ProjectExport(export, membership.project, membership.actor) for export in exports))
    return ExportPage(page, encode_cursor(scope, [exports[-1].id]) if more else None)


def _with_downloads(*project_exports: ProjectExport) -> list[ProjectExport]:
    """Return exports of one project, the ready ones with a signed URL, and record who gets the URLs."""
    ready = [one for one in project_exports if one.export.status is ExportStatus.READY]
    if ready:
        record_downloads(ready[0].project.id, ready[0].actor, [one.export for one in ready])
    expires_at = now() + URL_LIFETIME
    return [
        replace(one, download=Download(archive_store.signed_url(one.project, one.export.id), expires_at))
        if one.export.status is ExportStatus.READY
        else one
        for one in project_exports
    ]
