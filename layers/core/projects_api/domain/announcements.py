"""Announcements of changes on the bus, at least once each.

A change and its announcement are written in one transaction (a transactional outbox). The function that made the change
sends the announcement right afterwards. If it dies before, or if EventBridge is not available, the recovery job
(``resume_stalled``) sends the announcement.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from itertools import batched
from typing import Any

from projects_api.domain.resumption import resume_each
from projects_api.entities.announcement import ANNOUNCED_BY, Announcement
from projects_api.entities.clock import now, rfc3339
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import AnnouncementId, ProjectId, UserId, new_id
from projects_api.entities.resource import Resource
from projects_api.storage import eventbridge
from projects_api.storage.dynamodb import announcement_store, pending_work
from projects_api.storage.dynamodb.table import BATCH_GET_LIMIT

#: The detail-types of a project's own changes.
PROJECT_CREATED = "Project Created"
PROJECT_UPDATED = "Project Updated"
PROJECT_DELETED = "Project Deleted"


def announce_project(
    detail_type: str, project_id: ProjectId, *, name: str, user_id: UserId | None, occurred_at: datetime
) -> Announcement:
    """Return the announcement of a change of a project.

    Args:
        detail_type: ``PROJECT_CREATED``, ``PROJECT_UPDATED`` or ``PROJECT_DELETED``.
        project_id: The project.
        name: The project's name after the change.
        user_id: The user who made the change, or None if it was a service.
        occurred_at: The time of the change.
    """
    detail = {"name": name, "user_id": user_id}
    return _announcement(detail_type, project_id, occurred_at, detail, created_at=occurred_at)


def announce_resource(change: str, project_id: ProjectId, resource: Resource) -> Announcement:
    """Return the announcement of a change of a resource, in the form of a sibling service's event.

    Args:
        change: ``Created``, ``Updated`` or ``Deleted``.
        project_id: The project.
        resource: The resource after the change. Of a deleted one, only the id is announced.
    """
    body: dict[str, Any] = {"id": resource.id}
    if not resource.deleted:
        body = resource.fields | body | {"name": resource.name}
    if resource.artifact and not resource.deleted:
        body["artifact"] = {"key": resource.artifact.key, "content_type": resource.artifact.content_type}
    detail = {"announced_by": ANNOUNCED_BY, "resource": body}
    detail_type = f"{resource.type.capitalize()} {change}"
    return _announcement(detail_type, project_id, resource.timestamp, detail, created_at=now())


def _announcement(
    detail_type: str, project_id: ProjectId, occurred_at: datetime, detail: dict[str, Any], *, created_at: datetime
) -> Announcement:
    id_ = AnnouncementId(new_id())
    common = {"project_id": project_id, "occurred_at": rfc3339(occurred_at), "announcement_id": id_}
    return Announcement(id_, detail_type, common | detail, created_at)


def send(*announcements: Announcement) -> None:
    """Publish stored announcements and remove them from the outbox.

    A temporary error is ignored, because the change has taken effect: the recovery job sends what remains.
    """
    with suppress(StorageUnavailableError):
        _send(announcements)


def send_overdue(*, by: datetime, should_continue: Callable[[], bool] = lambda: True) -> int:
    """Publish the announcements that the functions of their changes have not sent in time.

    Args:
        by: The current time.
        should_continue: Returns False when the time is running out.

    Returns:
        The number of announcements that the bus has accepted.

    Raises:
        StorageUnavailableError: At least one announcement was not sent. The next run sends it.
    """
    batches = batched(pending_work.find_overdue_announcements(by=by), BATCH_GET_LIMIT, strict=False)
    return resume_each(batches, lambda ids: _send(announcement_store.get_many(ids)), should_continue=should_continue)


def _send(announcements: tuple[Announcement, ...] | list[Announcement]) -> int:
    accepted = list(eventbridge.publish_announcements(announcements))
    announcement_store.delete(accepted)
    return len(accepted)
