"""Requests for exports: start, join, wait for, get, list and cancel them.

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
from projects_api.domain.exports.export_recovery import is_stalled, send_message
from projects_api.domain.exports.file_names import archive_file_name
from projects_api.domain.exports.finalization import finalize_export
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require_membership
from projects_api.entities.activity_entry import Actor
from projects_api.entities.clock import now
from projects_api.entities.errors import (
    ExportFinishedError,
    ExportNotFoundError,
    ProjectNotFoundError,
    StorageUnavailableError,
)
from projects_api.entities.export import UNFINISHED, Export, ExportStatus, Trigger
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ExportId, ProjectId, UserId, new_id
from projects_api.entities.project import Membership, Project
from projects_api.storage import sqs
from projects_api.storage.dynamodb import export_store, idempotency_store
from projects_api.storage.dynamodb.idempotency_store import RepeatedRequestError
from projects_api.storage.s3 import archive_store
from projects_api.storage.s3.signed_urls import URL_LIFETIME

#: Longest time that ``wait`` waits for an export, in seconds.
WAIT = 20.0

#: Shortest and longest delay between two reads of the export, in seconds.
FIRST_POLL_DELAY, MAX_POLL_DELAY = 0.1, 1.0

#: How long a failed or cancelled export is reported to clients that request the archive. A client that polls therefore
#: learns of it, and does not start one export after another.
REPORT_TIME = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Download:
    """A signed URL of an archive, and the time at which the URL expires."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ProjectExport:
    """An export with its project, for one user, and with a download if the archive is ready and they may read it."""

    export: Export
    project: Project
    actor: Actor
    download: Download | None = None

    @property
    def file_name(self) -> str:
        """The file name of the archive."""
        return archive_file_name(self.project.name)


def start(
    user_id: UserId,
    project_id: ProjectId,
    *,
    fresh: bool = False,
    request: IdempotentRequest | None = None,
    may_read: bool = True,
) -> ProjectExport:
    """Return an export of the current state of the project: the latest export if it is up to date, otherwise a new one.

    Args:
        user_id: The caller.
        project_id: The project.
        fresh: Whether to start a new export in any case, which does not use the previous archive.
        request: The request, if it has an Idempotency-Key. A repeat returns the export of the first request.
        may_read: Whether the caller may get the URL of an archive.

    Raises:
        ProjectNotFoundError: The project does not exist, or the user is not a member of it.
        NotAllowedError: The role of the user does not allow exports.
        ExportNotFoundError: The request is a repeat, and the export of the first request no longer exists.
        InvalidInputError: An earlier request with the same Idempotency-Key had another body.
        StorageUnavailableError: AWS is not available.
    """

    def attempt() -> ProjectExport:
        membership = projects.get(user_id, project_id, Action.FRESH_EXPORT if fresh else Action.EXPORT)
        try:
            export = _join_or_start(membership, fresh=fresh, request=request)
        except RepeatedRequestError as repeat:
            first_export = export_store.get(project_id, ExportId(repeat.result["export_id"]))
            if first_export is None:
                raise ExportNotFoundError from None
            export = first_export
        project_export = ProjectExport(export, membership.project, membership.actor)
        return _with_downloads(project_export)[0] if may_read else project_export

    return retry_on_conflict(attempt)


def request_archive(user_id: UserId, project_id: ProjectId) -> ProjectExport:
    """Return the export for a request of the archive.

    Unlike ``start``, the function returns the latest export if it failed or was cancelled less than ``REPORT_TIME`` ago
    and the project has not changed since.

    Raises:
        ProjectNotFoundError: The project does not exist, or the user is not a member of it.
        NotAllowedError: The role of the user does not allow exports.
        StorageUnavailableError: AWS is not available.
    """

    def attempt() -> ProjectExport:
        membership = projects.get(user_id, project_id, Action.EXPORT)
        export = _latest_export(membership.project)
        if export is None or not _is_recent_failure(export, membership.project):
            export = _join_or_start(membership)
        return _with_downloads(ProjectExport(export, membership.project, membership.actor))[0]

    return retry_on_conflict(attempt)


def _latest_export(project: Project) -> Export | None:
    return export_store.get(project.id, project.latest_export_id) if project.latest_export_id else None


def _is_recent_failure(export: Export, project: Project) -> bool:
    """Return whether an export of the project's current state has failed or was cancelled within ``REPORT_TIME``."""
    if export.status not in {ExportStatus.FAILED, ExportStatus.CANCELLED} or export.finished_at is None:
        return False
    is_current = (
        export.revision == project.revision if export.revision else project.updated_at <= export.finished_at
    )  # without a revision, the export ended before its snapshot
    return is_current and now() - export.finished_at < REPORT_TIME


def _join_or_start(membership: Membership, *, fresh: bool = False, request: IdempotentRequest | None = None) -> Export:
    """Return the latest export of the project if a request may join it, otherwise start a new one.

    Raises:
        ConditionFailedError: Another export was started meanwhile, or the project was deleted.
        RepeatedRequestError: An earlier request with the same Idempotency-Key took effect.
    """
    project = membership.project
    latest = None if fresh else find_joinable(project, Trigger.REQUEST)
    if latest and request:
        idempotency_store.transact(request, {"export_id": latest.id})
    export = latest or insert(project, Trigger.REQUEST, membership.actor, fresh=fresh, request=request)
    if latest is None or is_stalled(latest):
        send_message(export)
    return export


def find_joinable(project: Project, trigger: Trigger) -> Export | None:
    """Return the latest export of the project if the trigger may join it."""
    latest = _latest_export(project)
    return latest if latest and _may_join(latest, project, trigger) else None


def insert(
    project: Project,
    trigger: Trigger,
    actor: Actor,
    *,
    fresh: bool = False,
    request: IdempotentRequest | None = None,
) -> Export:
    """Store a new export, which becomes the project's latest, and return it. The caller sends its message.

    Until ``sqs.MESSAGE_TIMEOUT`` has passed, the recovery job leaves the message to the caller.

    Raises:
        ConditionFailedError: Another export was started meanwhile, or the project was deleted.
        RepeatedRequestError: An earlier request with the same Idempotency-Key took effect.
    """
    moment = now()
    export = Export(
        id=ExportId(new_id()),
        project_id=project.id,
        status=ExportStatus.PENDING,
        trigger=trigger,
        created_at=moment,
        expires_at=archive_expiry(moment),
        stalled_at=moment + sqs.MESSAGE_TIMEOUT,
        fresh=fresh,
    )
    export_store.insert(project, export, actor, request=request)
    return export


def _may_join(export: Export, project: Project, trigger: Trigger) -> bool:
    """Return whether an existing export serves a new request for the current state of the project.

    A ready export does not if its archive expires before a signed URL would, or no longer exists, as can happen after
    ``ArchiveRetentionDays`` was lowered. The schedule joins only exports that it started itself.
    """
    if not _is_up_to_date(export, project):
        return False
    if trigger is Trigger.SCHEDULE:
        return export.trigger is Trigger.SCHEDULE
    if export.status is not ExportStatus.READY:
        return True
    return export.expires_at > now() + URL_LIFETIME and archive_store.exists(project.id, export.id)


def _is_up_to_date(export: Export, project: Project) -> bool:
    """Return whether an export contains, or will contain, the current state of the project."""
    match export.status:
        case ExportStatus.PENDING:
            return True
        case ExportStatus.RUNNING:
            return export.revision in {0, project.revision}
        case ExportStatus.READY:
            return export.revision == project.revision
        case ExportStatus.FAILED | ExportStatus.CANCELLED:
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
    while export.status in UNFINISHED and time.monotonic() < deadline:
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


def cancel(user_id: UserId, project_id: ProjectId, export_id: ExportId) -> None:
    """Cancel an unfinished export for everybody who joined it. A repeat changes nothing.

    The export's worker, if there is one, loses its lease, deletes its output and publishes the outcome. Without a
    worker, this function does so, and if it fails, the recovery job.

    Raises:
        ProjectNotFoundError: The project does not exist, or the user is not a member of it.
        NotAllowedError: The role of the user is too low.
        ExportNotFoundError: The export does not exist, or it has expired.
        ExportFinishedError: The export is ready or has failed.
    """

    def attempt() -> None:
        membership, export = export_store.get_with_membership(project_id, user_id, export_id)
        membership = require_membership(membership, Action.CANCEL_EXPORT)
        if export is None:
            raise ExportNotFoundError
        if export.status in UNFINISHED:
            export_store.cancel(membership.project, export, membership.actor)
        elif export.status is not ExportStatus.CANCELLED:
            raise ExportFinishedError(export.status)

    retry_on_conflict(attempt)
    with suppress(StorageUnavailableError):
        finalize_export(project_id, export_id)


def _with_downloads(*project_exports: ProjectExport) -> list[ProjectExport]:
    """Return exports of one project, the ready ones with a signed URL, and record who gets the URLs."""
    downloads = [_sign(one) for one in project_exports]
    if signed := [one for one in downloads if one.download]:
        record_downloads(signed[0].project.id, signed[0].actor, [one.export for one in signed])
    return downloads


def _sign(project_export: ProjectExport) -> ProjectExport:
    """Return a ready export with a signed URL, which expires with the archive at the latest."""
    export, moment = project_export.export, now()
    expires_at = min(moment + URL_LIFETIME, export.expires_at)
    lifetime = expires_at - moment
    if export.status is not ExportStatus.READY or lifetime < timedelta(seconds=1):
        return project_export
    url = archive_store.signed_url(export.project_id, export.id, file_name=project_export.file_name, lifetime=lifetime)
    return replace(project_export, download=Download(url, expires_at))
