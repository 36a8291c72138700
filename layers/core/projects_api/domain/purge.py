"""Purge: remove everything that belongs to a deleted project."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import batched

from aws_lambda_powertools import Logger

from projects_api import settings
from projects_api.domain.resumption import resume_each
from projects_api.entities.clock import now
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import artifacts_prefix
from projects_api.storage import sqs
from projects_api.storage.dynamodb import (
    activity_store,
    export_store,
    member_store,
    pending_work,
    project_store,
    purge_store,
)
from projects_api.storage.dynamodb.table import BATCH_GET_LIMIT
from projects_api.storage.s3 import archive_store, bucket_cleanup

logger = Logger(child=True)

#: Number of runs of a purge that queue each other. Lambda's detection of recursive loops is off for the purge worker
#: (https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html), so this is the bound. It allows a day.
MAX_RUNS = 100

#: Time between two heartbeats of a purge, in seconds.
HEARTBEAT_INTERVAL = 10.0

#: How long after its last heartbeat a purge counts as stalled. The recovery job then queues it again.
HEARTBEAT_TIMEOUT = timedelta(seconds=30)


class PurgeIncompleteError(Exception):
    """The purge is not finished: the time ran out, or an export is running. Call ``purge_project`` again later."""


def send_again(project_id: ProjectId, *, run: int, delay: int) -> None:
    """Queue the next run of a purge.

    A chain of runs that queue each other ends after ``MAX_RUNS``. The recovery job then starts another one later.

    Args:
        project_id: The project.
        run: The number of the next run.
        delay: How long SQS keeps the message back, in seconds.

    Raises:
        StorageUnavailableError: SQS or DynamoDB is not available.
    """
    if run <= MAX_RUNS:
        sqs.send_purge(project_id, run=run, delay=delay)
    else:
        logger.error("A purge was not completed in %s runs in a row", MAX_RUNS)
    purge_store.postpone_recovery(project_id, until=now() + sqs.QUEUE_TIMEOUT)


def send_messages(project_ids: Sequence[ProjectId]) -> int:
    """Queue purges in batches. The recovery job leaves those that are queued alone for ``sqs.QUEUE_TIMEOUT``.

    Returns:
        The number of messages.

    Raises:
        StorageUnavailableError: SQS or DynamoDB was not available, or SQS has not accepted all messages.
    """
    accepted = sqs.send_purges(project_ids)
    for project_id, is_accepted in zip(project_ids, accepted, strict=True):
        if is_accepted:
            purge_store.postpone_recovery(project_id, until=now() + sqs.QUEUE_TIMEOUT)
    if not all(accepted):
        raise StorageUnavailableError
    return len(accepted)


def resume_stalled_purges(*, by: datetime, should_continue: Callable[[], bool]) -> int:
    """Queue every purge again that is stalled at the time ``by``, and return the number of messages.

    Raises:
        StorageUnavailableError: At least one message was not sent. The next run sends it.
    """
    batches = batched(pending_work.find_stalled_purges(by=by), BATCH_GET_LIMIT, strict=False)
    return resume_each(batches, send_messages, should_continue=should_continue)


def purge_project(project_id: ProjectId, *, should_continue: Callable[[], bool]) -> None:
    """Remove a deleted project's memberships, artifacts, archives and items, and at the end the project's own item.

    A purge can stop at any point, run again, and run twice in parallel: each step removes only what still exists. The
    purge waits for a running export, because the export could still write its archive after the archives are removed.
    The export ends soon: it cannot renew the lease of a deleted project.

    Args:
        project_id: The project. If it is not deleted, nothing happens.
        should_continue: Returns False when the time is running out.

    Raises:
        PurgeIncompleteError: There is more to purge. Call again later.
    """
    project = project_store.get(project_id)
    if project is None or project.deleted_at is None:
        return
    should_continue = _with_heartbeat(project_id, should_continue)
    while member_store.remove_batch(project):
        _check_time(should_continue)
    if any(export.lease_until and export.lease_until > now() for export in export_store.list_all(project_id)):
        raise PurgeIncompleteError("an export is running")
    for bucket, prefix in (
        (settings.artifacts_bucket(), artifacts_prefix(project_id)),
        (settings.exports_bucket(), archive_store.exports_prefix(project_id)),
    ):
        bucket_cleanup.abort_uploads(bucket, prefix)  # first, because an upload that completes leaves an object
        if not bucket_cleanup.delete_objects(bucket, prefix, should_continue=should_continue):
            raise PurgeIncompleteError("objects are left")
    while purge_store.delete_item_batch(project_id):
        _check_time(should_continue)
    while activity_store.delete_batch(project):
        _check_time(should_continue)
    purge_store.delete_project_item(project)


def _with_heartbeat(project_id: ProjectId, should_continue: Callable[[], bool]) -> Callable[[], bool]:
    """Return ``should_continue`` with a heartbeat, which keeps the recovery job from queueing the purge again."""
    next_heartbeat = 0.0

    def should_continue_with_heartbeat() -> bool:
        nonlocal next_heartbeat
        if time.monotonic() >= next_heartbeat:
            purge_store.postpone_recovery(project_id, until=now() + HEARTBEAT_TIMEOUT)
            next_heartbeat = time.monotonic() + HEARTBEAT_INTERVAL
        return should_continue()

    return should_continue_with_heartbeat


def _check_time(should_continue: Callable[[], bool]) -> None:
    if not should_continue():
        raise PurgeIncompleteError("items are left")
