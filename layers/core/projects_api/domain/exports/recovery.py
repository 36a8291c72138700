"""Exports: started once for what a project is, joined by whoever asks meanwhile, kept until they expire."""

from contextlib import suppress

from projects_api.domain import purge
from projects_api.entities.clock import now
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.export import Export
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import sqs
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import export_store, pending_work


def send_again(project_id: ProjectId, export_id: ExportId) -> None:
    """Queues an export again, and restarts the time after which its message counts as lost."""
    sqs.send_export(project_id, export_id)
    with suppress(ConditionFailedError):
        export_store.postpone(project_id, export_id, by=now() + sqs.MESSAGE_TIMEOUT)


def is_stalled(export: Export) -> bool:
    """Whether nobody works on an export that has something left to do, so that its message must be taken for lost."""
    moment = now()
    leased = export.lease_until is not None and export.lease_until >= moment
    return export.stalled_at is not None and export.stalled_at < moment and not leased


def resume_stalled() -> int:
    """Queues again every purge that is not done, and every unfinished export that nobody works on.

    Returns:
        How many messages were sent.

    Raises:
        StorageUnavailableError: Some could not be; all others were.
    """
    sent = 0
    failure: StorageUnavailableError | None = None
    for project_id in pending_work.purges(by=now()):
        try:
            purge.send_again(project_id)
            sent += 1
        except StorageUnavailableError as error:
            failure = error
    for project_id, export_id in pending_work.exports(by=now()):
        try:
            export = export_store.get(project_id, export_id)
            if export and is_stalled(export):
                send_again(project_id, export_id)
                sent += 1
        except StorageUnavailableError as error:
            failure = error
    if failure:
        raise failure
    return sent
