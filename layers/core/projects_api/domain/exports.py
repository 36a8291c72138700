"""Exports: started once for what a project is, joined by whoever asks meanwhile, kept until they expire."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from projects_api import settings
from projects_api.domain import projects as domain_projects
from projects_api.domain import purge
from projects_api.domain.projects import decide_anew, enter
from projects_api.domain.rules import Action
from projects_api.model.clock import now, rfc3339
from projects_api.model.entities import Export, ExportStatus, Project, Trigger
from projects_api.model.errors import (
    ExportNotFoundError,
    InvalidInputError,
    ProjectNotFoundError,
    StorageUnavailableError,
)
from projects_api.model.ids import ExportId, ProjectId, UserId, new_id
from projects_api.storage import archives, exports, projects, queues, work
from projects_api.storage.errors import ConditionFailedError

#: A signed URL's life.
URL_LIFE = timedelta(seconds=archives.URL_LIFE)

#: How long a plain GET of the archive waits for it, in seconds, and how long between two looks, at first and at most.
WAIT = 20.0
FIRST_LOOK, LAST_LOOK = 0.1, 1.0


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
        project = domain_projects.get(user_id, project_id, Action.EXPORT).project
        return _signed(project, _join_or_start(project, Trigger.REQUEST))

    return decide_anew(attempt)


def _join_or_start(project: Project, trigger: Trigger) -> Export:
    latest = exports.get(project.id, project.latest_export_id) if project.latest_export_id else None
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
        expires_at=expiry(moment),
        stalled_at=moment + queues.PATIENCE,
    )
    exports.insert(project, export)
    with suppress(StorageUnavailableError):  # it is there now, and is found by resume_stalled
        queues.send_export(project.id, export.id)
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
    return export.status is not ExportStatus.READY or archives.is_there(project.id, export.id)


def send_again(project_id: ProjectId, export_id: ExportId) -> None:
    """Queues an export again, and restarts the time after which its message counts as lost."""
    queues.send_export(project_id, export_id)
    with suppress(ConditionFailedError):
        exports.expect(project_id, export_id, by=now() + queues.PATIENCE)


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


def is_stalled(export: Export) -> bool:
    """Whether nobody works on an export that has something left to do, so that its message must be taken for lost."""
    moment = now()
    leased = export.lease_until is not None and export.lease_until >= moment
    return export.stalled_at is not None and export.stalled_at < moment and not leased


def expiry(moment: datetime) -> datetime:
    """When an export of ``moment`` expires, in whole seconds, as DynamoDB's time to live has it."""
    return moment.replace(microsecond=0) + timedelta(days=settings.archive_retention_days())


def wait(started: ProjectExport) -> ProjectExport:
    """The export when it is finished, or as it is after ``WAIT`` seconds.

    Raises:
        ProjectNotFoundError: The project was deleted meanwhile.
    """
    deadline, pause = time.monotonic() + WAIT, FIRST_LOOK
    export = started.export
    while export.status in {ExportStatus.PENDING, ExportStatus.RUNNING} and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_LOOK)
        seen = exports.get(export.project_id, export.id)
        if seen is None:
            raise ProjectNotFoundError
        export = seen
    return _signed(started.project, export)


def read(ready: ProjectExport) -> bytes:
    """The archive of an export that is ready.

    Raises:
        ProjectNotFoundError: It was purged a moment ago.
    """
    archive = archives.read(archives.key_of(ready.project.id, ready.export.id))
    if archive is None:
        raise ProjectNotFoundError
    return archive


def get(user_id: UserId, project_id: ProjectId, export_id: ExportId) -> ProjectExport:
    """One export of the project.

    Raises:
        ProjectNotFoundError: The caller is no member of the project.
        ExportNotFoundError: The project has no such export, or it has expired.
    """
    found, export = exports.find(project_id, user_id, export_id)
    project = enter(found, Action.READ).project
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
    project = domain_projects.get(user_id, project_id).project
    found, more = exports.page(project_id, after=after, limit=limit)
    return ExportPage([_signed(project, export) for export in found], found[-1].id if more else None)


def _signed(project: Project, export: Export) -> ProjectExport:
    if export.status is not ExportStatus.READY:
        return ProjectExport(export, project, None)
    expires_at = now() + URL_LIFE
    return ProjectExport(export, project, Download(archives.signed_url(project, export.id), expires_at))


def settle(project_id: ProjectId, export_id: ExportId) -> Export | None:
    """Clears up behind a finished export and says on the bus how it ended, unless that was done; repeated until it was.

    A project whose scheduled export has failed is due again.

    Returns:
        The export, if it is finished and was settled just now.
    """
    export = exports.get(project_id, export_id)
    if export is None or export.finished_at is None or export.settled:
        return None
    archives.clear_up(project_id, export_id)
    queues.publish(
        "Project Export Ready" if export.status is ExportStatus.READY else "Project Export Failed",
        {
            "project_id": export.project_id,
            "export_id": export.id,
            "trigger": export.trigger,
            "occurred_at": rfc3339(export.finished_at),
            "size_bytes": export.size_bytes,
            "error": export.error,
        },
    )
    if export.status is ExportStatus.FAILED:  # whatever began it, the schedule may have joined it
        with suppress(ConditionFailedError):
            projects.on_schedule(project_id)
    with suppress(ConditionFailedError):
        exports.settle(export)
    return export


# ----------------------------------------------------------------------------------------------------- schedule


def start_scheduled(project_id: ProjectId) -> bool:
    """Exports a project that is due, and takes it off what is due, unless it changes meanwhile.

    Returns:
        Whether it was there to be exported.
    """

    def attempt() -> bool:
        project = projects.get(project_id)
        if project is None or project.deleted_at:
            return False
        export = _join_or_start(project, Trigger.SCHEDULE)
        projects.off_schedule(project)
        seen = exports.get(project_id, export.id)
        if seen and seen.status is ExportStatus.FAILED:  # meanwhile, and so its project is due again
            projects.on_schedule(project_id)
        return True

    return decide_anew(attempt)


def due() -> Iterator[ProjectId]:
    """The projects that changed since their last scheduled export, or whose last one failed."""
    return work.due(by=now())


def resume_stalled() -> int:
    """Queues again every purge that is not done, and every unfinished export that nobody works on.

    Returns:
        How many messages were sent.

    Raises:
        StorageUnavailableError: Some could not be; all others were.
    """
    sent = 0
    failure: StorageUnavailableError | None = None
    for project_id in work.purges(by=now()):
        try:
            purge.send_again(project_id)
            sent += 1
        except StorageUnavailableError as error:
            failure = error
    for project_id, export_id in work.exports(by=now()):
        try:
            export = exports.get(project_id, export_id)
            if export and is_stalled(export):
                send_again(project_id, export_id)
                sent += 1
        except StorageUnavailableError as error:
            failure = error
    if failure:
        raise failure
    return sent
