"""The recovery job: continue everything that a function or a worker has left unfinished."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import batched

from projects_api.domain import announcements, purge, upload_completion, uploaded_files
from projects_api.domain.exports import retention
from projects_api.domain.imports import import_recovery
from projects_api.entities.clock import now
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.export import Export
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import sqs
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import export_store, pending_work
from projects_api.storage.dynamodb.table import BATCH_GET_LIMIT


def send_message(export: Export) -> None:
    """Queue an export. If AWS is not available, the recovery job queues it later."""
    with suppress(StorageUnavailableError):
        send_messages([(export.project_id, export.id)])


def send_messages(exports: Sequence[tuple[ProjectId, ExportId]]) -> int:
    """Queue exports in batches. The recovery job does not touch queued exports for ``sqs.QUEUE_TIMEOUT``.

    Returns:
        The number of messages.

    Raises:
        StorageUnavailableError: SQS or DynamoDB was not available, or SQS has not accepted all messages.
    """
    accepted = sqs.send_exports(exports)
    for (project_id, export_id), is_accepted in zip(exports, accepted, strict=True):
        if is_accepted:
            with suppress(ConditionFailedError):  # a worker has the export already
                export_store.postpone_recovery(project_id, export_id, until=now() + sqs.QUEUE_TIMEOUT)
    if not all(accepted):
        raise StorageUnavailableError
    return len(accepted)


def is_stalled(export: Export) -> bool:
    """Return whether an export has pending work, its message timeout is over, and no worker holds its lease."""
    moment = now()
    return export.stalled_at is not None and export.stalled_at < moment and not export.is_leased(moment)


def resume_stalled(*, should_continue: Callable[[], bool] = lambda: True) -> int:
    """Queue stalled purges, exports and imports again, and continue uploads, deletions and announcements.

    Args:
        should_continue: Called between two batches. Returns False when the time is running out: the next run continues.

    Returns:
        The number of messages sent, and of the other items processed.

    Raises:
        StorageUnavailableError: At least one of them failed. The function has tried all others.
    """
    processed = 0
    failure: StorageUnavailableError | None = None
    for step in (
        _resume_purges,
        _resume_exports,
        _resume_imports,
        upload_completion.resume_due,
        _delete_files,
        announcements.send_overdue,
        retention.remove_retired_archives,
    ):
        try:
            processed += step(by=now(), should_continue=should_continue)
        except StorageUnavailableError as error:
            failure = error
    if failure:
        raise failure
    return processed


def _resume_imports(*, by: datetime, should_continue: Callable[[], bool]) -> int:
    return import_recovery.resume_stalled_imports(by=by) if should_continue() else 0


def _delete_files(*, by: datetime, should_continue: Callable[[], bool]) -> int:
    return uploaded_files.delete_overdue(by=by) if should_continue() else 0


def _resume_purges(*, by: datetime, should_continue: Callable[[], bool]) -> int:
    batches = batched(pending_work.find_stalled_purges(by=by), BATCH_GET_LIMIT, strict=False)
    return _send_each(batches, purge.send_messages, should_continue)


def _resume_exports(*, by: datetime, should_continue: Callable[[], bool]) -> int:
    def send_stalled(ids: Sequence[tuple[ProjectId, ExportId]]) -> int:
        # the index of pending work may be out of date
        return send_messages(
            [(export.project_id, export.id) for export in export_store.get_many(ids) if is_stalled(export)]
        )

    batches = batched(pending_work.find_stalled_exports(by=by), BATCH_GET_LIMIT, strict=False)
    return _send_each(batches, send_stalled, should_continue)


def _send_each[T](
    batches: Iterator[tuple[T, ...]], send: Callable[[Sequence[T]], int], should_continue: Callable[[], bool]
) -> int:
    """Call ``send`` with each batch, also after one has failed, and return the number of messages."""
    sent = 0
    failure: StorageUnavailableError | None = None
    for batch in batches:
        try:
            sent += send(batch)
        except StorageUnavailableError as error:
            failure = error
        if not should_continue():
            break
    if failure:
        raise failure
    return sent
