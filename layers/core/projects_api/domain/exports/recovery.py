"""The recovery job: resume exports, imports and purges that no worker works on, and send overdue announcements."""

from contextlib import suppress

from projects_api.domain import announcements, purge, uploaded_files, uploads
from projects_api.domain.imports import import_recovery
from projects_api.entities.clock import now
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.export import Export
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import sqs
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import export_store, pending_work


def send_again(project_id: ProjectId, export_id: ExportId) -> None:
    """Queue an export again and restart its message timeout."""
    sqs.send_export(project_id, export_id)
    with suppress(ConditionFailedError):
        export_store.postpone_recovery(project_id, export_id, until=now() + sqs.MESSAGE_TIMEOUT)


def is_stalled(export: Export) -> bool:
    """Return whether an export has pending work, its message timeout is over, and no worker holds its lease."""
    moment = now()
    leased = export.lease_until is not None and export.lease_until >= moment
    return export.stalled_at is not None and export.stalled_at < moment and not leased


def resume_stalled() -> int:
    """Queue every stalled purge, export and import again, and continue uploads, deletions of files, and announcements.

    Returns:
        The number of messages sent, and of the other items processed.

    Raises:
        StorageUnavailableError: At least one message could not be sent. The function has tried to send all others.
    """
    sent = 0
    failure: StorageUnavailableError | None = None
    for project_id in pending_work.find_stalled_purges(by=now()):
        try:
            purge.send_again(project_id)
            sent += 1
        except StorageUnavailableError as error:
            failure = error
    for project_id, export_id in pending_work.find_stalled_exports(by=now()):
        try:
            export = export_store.get(project_id, export_id)
            if export and is_stalled(export):
                send_again(project_id, export_id)
                sent += 1
        except StorageUnavailableError as error:
            failure = error
    steps = (
        import_recovery.resume_stalled_imports,
        uploads.resume_due,
        uploaded_files.delete_overdue,
        announcements.send_overdue,
    )
    for step in steps:
        try:
            sent += step(by=now())
        except StorageUnavailableError as error:
            failure = error
    if failure:
        raise failure
    return sent
