"""Recovery of imports whose message was lost or whose worker died."""

from contextlib import suppress
from datetime import datetime

from projects_api.entities.clock import now
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ImportId
from projects_api.entities.project_import import Import
from projects_api.storage import sqs
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import import_store, pending_work


def send_again(import_id: ImportId) -> None:
    """Queue an import again and restart its message timeout."""
    sqs.send_import(import_id)
    with suppress(ConditionFailedError):
        import_store.postpone_recovery(import_id, until=now() + sqs.MESSAGE_TIMEOUT)


def is_stalled(import_: Import) -> bool:
    """Return whether an import has pending work, its message timeout is over, and no worker holds its lease."""
    moment = now()
    leased = import_.lease_until is not None and import_.lease_until >= moment
    return import_.stalled_at is not None and import_.stalled_at < moment and not leased


def resume_stalled_imports(*, by: datetime) -> int:
    """Queue every import again that is stalled at the time ``by``.

    Returns:
        The number of messages that were sent.

    Raises:
        StorageUnavailableError: At least one message could not be sent. The function has tried to send all others.
    """
    sent = 0
    failure: StorageUnavailableError | None = None
    for import_id in pending_work.find_stalled_imports(by=by):
        try:
            import_ = import_store.get(import_id)
            if import_ and is_stalled(import_):
                send_again(import_id)
                sent += 1
        except StorageUnavailableError as error:
            failure = error
    if failure:
        raise failure
    return sent
