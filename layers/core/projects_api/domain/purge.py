"""Removing what a deleted project left: everything, to the last item and object."""

import time
from collections.abc import Callable
from datetime import timedelta

from projects_api import settings
from projects_api.entities.clock import now
from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import artifacts_prefix
from projects_api.storage import sqs
from projects_api.storage.dynamodb import member_store, project_store, purge_store
from projects_api.storage.s3 import archive_store, bucket_cleanup

#: How often, in seconds, a purge says that it is under way, and how long it may be silent.
HEARTBEAT_INTERVAL = 10.0
SILENCE = timedelta(seconds=30)


class PurgeIncompleteError(Exception):
    """There is more to purge than there was time for, or an export is still under way; go on later."""


def send_again(project_id: ProjectId, *, delay: int = 0) -> None:
    """Queues a purge again, to be delivered after ``delay`` seconds."""
    sqs.send_purge(project_id, delay=delay)
    purge_store.postpone(project_id, by=now() + sqs.MESSAGE_TIMEOUT)


def purge_project(project_id: ProjectId, *, should_continue: Callable[[], bool]) -> None:
    """Removes a deleted project's memberships, artifacts, archives and items; the project's own item last.

    It may die anywhere, be repeated, and run twice at once: each step removes what there still is. A running export is
    waited for, since it could put its archive behind the purge's back; it can't renew its lease, as the project is
    deleted.

    Args:
        project_id: The project. One that is not deleted is left alone.
        should_continue: Says no when time is running out.

    Raises:
        PurgeIncompleteError: To be gone on with.
    """
    project = project_store.get(project_id)
    if project is None or project.deleted_at is None:
        return
    should_continue = _with_heartbeat(project_id, should_continue)
    while member_store.remove_batch(project):
        _check(should_continue)
    if any(export.lease_until and export.lease_until > now() for export in purge_store.exports_of(project_id)):
        raise PurgeIncompleteError("an export is running")
    for bucket, prefix in (
        (settings.artifacts_bucket(), artifacts_prefix(project_id)),
        (settings.exports_bucket(), archive_store.exports_prefix(project_id)),
    ):
        bucket_cleanup.abort_uploads(bucket, prefix)  # first, since one that ends meanwhile leaves an object
        if not bucket_cleanup.delete_objects(bucket, prefix, should_continue=should_continue):
            raise PurgeIncompleteError("objects are left")
    while purge_store.delete_item_batch(project_id):
        _check(should_continue)
    purge_store.delete_project_item(project)


def _with_heartbeat(project_id: ProjectId, should_continue: Callable[[], bool]) -> Callable[[], bool]:
    """``should_continue``, which now and then says that the purge is under way, lest ``resume_stalled`` send for another."""
    due_at = 0.0

    def asked() -> bool:
        nonlocal due_at
        if time.monotonic() >= due_at:
            purge_store.postpone(project_id, by=now() + SILENCE)
            due_at = time.monotonic() + HEARTBEAT_INTERVAL
        return should_continue()

    return asked


def _check(should_continue: Callable[[], bool]) -> None:
    if not should_continue():
        raise PurgeIncompleteError("items are left")
