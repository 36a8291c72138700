"""Removing what a deleted project left: everything, to the last item and object."""

import time
from collections.abc import Callable
from datetime import timedelta

from projects_api import settings
from projects_api.model.clock import now
from projects_api.model.entities import artifacts_prefix
from projects_api.model.ids import ProjectId
from projects_api.storage import archives, members, objects, projects, purge, queues

#: How often, in seconds, a purge says that it is under way, and how long it may be silent.
SIGN_OF_LIFE = 10.0
SILENCE = timedelta(seconds=30)


class NotDoneError(Exception):
    """There is more to purge than there was time for, or an export is still under way; go on later."""


def send_again(project_id: ProjectId, *, delay: int = 0) -> None:
    """Queues a purge again, to be delivered after ``delay`` seconds."""
    queues.send_purge(project_id, delay=delay)
    purge.expect(project_id, by=now() + queues.PATIENCE)


def purge_project(project_id: ProjectId, *, keep_going: Callable[[], bool]) -> None:
    """Removes a deleted project's memberships, artifacts, archives and items; the project's own item last.

    It may die anywhere, be repeated, and run twice at once: each step removes what there still is. A running export is
    waited for, since it could put its archive behind the purge's back; it can't renew its lease, as the project is
    deleted.

    Args:
        project_id: The project. One that is not deleted is left alone.
        keep_going: Says no when time is running out.

    Raises:
        NotDoneError: To be gone on with.
    """
    project = projects.get(project_id)
    if project is None or project.deleted_at is None:
        return
    keep_going = _with_signs_of_life(project_id, keep_going)
    while members.remove_some(project):
        _check(keep_going)
    if any(export.lease_until and export.lease_until > now() for export in purge.exports_of(project_id)):
        raise NotDoneError("an export is running")
    for bucket, prefix in (
        (settings.artifacts_bucket(), artifacts_prefix(project_id)),
        (settings.exports_bucket(), archives.prefix_of(project_id)),
    ):
        objects.abort_uploads(bucket, prefix)  # first, since one that ends meanwhile leaves an object
        if not objects.delete_objects(bucket, prefix, keep_going=keep_going):
            raise NotDoneError("objects are left")
    while purge.delete_some(project_id):
        _check(keep_going)
    purge.delete_last(project)


def _with_signs_of_life(project_id: ProjectId, keep_going: Callable[[], bool]) -> Callable[[], bool]:
    """``keep_going``, which now and then says that the purge is under way, lest ``resume_stalled`` send for another."""
    due_at = 0.0

    def asked() -> bool:
        nonlocal due_at
        if time.monotonic() >= due_at:
            purge.expect(project_id, by=now() + SILENCE)
            due_at = time.monotonic() + SIGN_OF_LIFE
        return keep_going()

    return asked


def _check(keep_going: Callable[[], bool]) -> None:
    if not keep_going():
        raise NotDoneError("items are left")
