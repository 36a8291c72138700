"""Recovery of imports whose message was lost or whose worker died."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from projects_api.domain.resumption import resume_each
from projects_api.entities.clock import now
from projects_api.entities.ids import ImportId
from projects_api.entities.project_import import Import
from projects_api.storage import sqs
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import import_store, pending_work


def send_again(import_id: ImportId) -> None:
    """Queue an import again. The recovery job then does not touch it for ``sqs.QUEUE_TIMEOUT``."""
    sqs.send_import(import_id)
    with suppress(ConditionFailedError):  # a worker has the import already
        import_store.postpone_recovery(import_id, until=now() + sqs.QUEUE_TIMEOUT)


def is_stalled(import_: Import) -> bool:
    """Return whether an import has pending work, its message timeout is over, and no worker holds its lease."""
    moment = now()
    leased = import_.lease_until is not None and import_.lease_until >= moment
    return import_.stalled_at is not None and import_.stalled_at < moment and not leased


def resume_stalled_imports(*, by: datetime, should_continue: Callable[[], bool]) -> int:
    """Queue every import again that is stalled at the time ``by``, and return the number of messages.

    Raises:
        StorageUnavailableError: At least one message was not sent. The next run sends it.
    """

    def send_stalled(import_id: ImportId) -> int:
        import_ = import_store.get(import_id)  # the index of pending work may be out of date
        if import_ is None or not is_stalled(import_):
            return 0
        send_again(import_id)
        return 1

    return resume_each(pending_work.find_stalled_imports(by=by), send_stalled, should_continue=should_continue)
