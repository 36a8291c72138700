"""Recovery of exports whose message was lost or whose worker died."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import batched

from projects_api.domain.resumption import resume_each
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


def resume_stalled_exports(*, by: datetime, should_continue: Callable[[], bool]) -> int:
    """Queue every export again that is stalled at the time ``by``, and return the number of messages.

    Raises:
        StorageUnavailableError: At least one message was not sent. The next run sends it.
    """

    def send_stalled(ids: Sequence[tuple[ProjectId, ExportId]]) -> int:
        # the index of pending work may be out of date
        return send_messages(
            [(export.project_id, export.id) for export in export_store.get_many(ids) if is_stalled(export)]
        )

    batches = batched(pending_work.find_stalled_exports(by=by), BATCH_GET_LIMIT, strict=False)
    return resume_each(batches, send_stalled, should_continue=should_continue)
