"""Resources: merge the events of sibling services into them, and list them as the project's timeline."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from projects_api.domain import projects
from projects_api.domain.cursors import decode_cursor, encode_cursor
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.entities.activity import (
    UNKNOWN,
    ActivityAction,
    ActivityEntry,
    ActivityObject,
    Actor,
    Values,
    new_entry,
)
from projects_api.entities.clock import parse, sortable
from projects_api.entities.errors import ProjectNotFoundError
from projects_api.entities.ids import ProjectId, ResourceId, UserId
from projects_api.entities.resource import Artifact, Resource, ResourceType
from projects_api.storage.dynamodb import resource_store


class Change(IntEnum):
    """A kind of event. Of two events at the same instant, the one with the higher value is the newer."""

    CREATED = 1
    UPDATED = 2
    DELETED = 3


def resource_from_event(
    *,
    id: ResourceId,  # noqa: A002 - the field's name
    type: ResourceType,  # noqa: A002 - as above
    change: Change,
    name: str,
    occurred_at: datetime,
    fields: dict[str, Any],
    artifact: Artifact | None,
    extra_digits: str = "",
    changed_by: Actor | None = None,
) -> Resource:
    """Return the resource as one event describes it.

    The resource's ``version`` orders the events of one resource: by time, then by kind of change, then by a digest of
    the content. All three come from the event itself, so the order does not depend on when an event is delivered.

    Args:
        id: The resource's id.
        type: The resource's type.
        change: The kind of event.
        name: The resource's name.
        occurred_at: The event's time.
        fields: The resource's own fields.
        artifact: The resource's file, if it has one.
        extra_digits: The digits of the event's time after the microseconds, without trailing zeros.
        changed_by: The user or service that announced the change.
    """
    content = json.dumps([name, fields, artifact and [artifact.key, artifact.content_type]], sort_keys=True)
    digest = sha256(content.encode()).hexdigest()[:16]
    return Resource(
        id=id,
        type=type,
        name=name,
        timestamp=occurred_at,
        version=f"{sortable(occurred_at)}{extra_digits}#{change:d}#{digest}",
        fields=fields,
        artifact=artifact,
        deleted=change is Change.DELETED,
        changed_by=changed_by,
    )


def merge_event(before: Resource | None, event: Resource) -> Resource:
    """Return the newer of the stored resource and the event.

    A repeated or older event changes nothing. A deletion is final: it replaces the stored resource even if that is
    newer, and no later event replaces the deletion. The same events therefore give the same result in any order.
    """
    if before is None:
        return event
    if not before.deleted and (event.deleted or event.version > before.version):
        return event
    return before


def record(project_id: ProjectId, events: Sequence[Resource]) -> int:
    """Merge events into the project's resources and its counts, in one transaction.

    Args:
        project_id: The project.
        events: At most ``resource_store.RESOURCES_PER_TRANSACTION`` events in any order. Several may describe the same
            resource.

    Returns:
        The number of resources that changed.

    Raises:
        ProjectNotFoundError: The project does not exist, or is deleted.
        ConflictError: The project is full, or the items are too large.
        StorageUnavailableError: DynamoDB is not available, or other writers kept changing the same resources.
    """

    def attempt() -> int:
        project, before = resource_store.get_many(project_id, {event.key for event in events})
        after = dict(before)
        for event in events:
            after[event.key] = merge_event(after.get(event.key), event)
        changes = [(before.get(key), merged) for key, merged in after.items() if merged is not before.get(key)]
        if changes:
            if project is None or project.deleted_at:
                raise ProjectNotFoundError
            resource_store.record(project, changes, (_new_entry(project_id, *change) for change in changes))
        return len(changes)

    return retry_on_conflict(attempt)


def _new_entry(project_id: ProjectId, before: Resource | None, after: Resource) -> ActivityEntry:
    """Return the entry of one change of a resource, whichever number of events it comes from."""
    action = ActivityAction.RESOURCE_UPDATED if before else ActivityAction.RESOURCE_CREATED
    if after.deleted:
        action = ActivityAction.RESOURCE_DELETED
    return new_entry(
        project_id,
        after.changed_by or UNKNOWN,
        action,
        ActivityObject(after.type, after.id, (before.name if after.deleted and before else after.name) or None),
        before=_values(before) if before else None,
        after=None if after.deleted else _values(after),
    )


def _values(resource: Resource) -> Values:
    values = {"name": resource.name, "timestamp": sortable(resource.timestamp)}
    if resource.artifact:
        values["artifact"] = resource.artifact.key
    return values | {f"fields.{name}": value for name, value in resource.fields.items()}


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """A page of a project's timeline.

    Attributes:
        resources: The resources on the page.
        next_cursor: The cursor of the next page, or None on the last page.
    """

    resources: list[Resource]
    next_cursor: str | None


def list_timeline(
    user_id: UserId,
    project_id: ProjectId,
    *,
    type_: ResourceType | None,
    cursor: str | None,
    limit: int,
    descending: bool,
) -> TimelinePage:
    """Return a page of the project's resources, sorted by time.

    Args:
        user_id: The caller.
        project_id: The project.
        type_: Return only resources of this type.
        cursor: The ``next_cursor`` of the page before, or None for the first page.
        limit: Maximum number of resources to return.
        descending: Whether to return the newest first.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        InvalidInputError: The cursor does not belong to this timeline.
    """
    scope = ["timeline", project_id, type_, descending]
    after = decode_cursor(scope, cursor, _parse_position) if cursor else None
    projects.get(user_id, project_id)
    page, has_more = resource_store.list_page(project_id, type_=type_, after=after, limit=limit, descending=descending)
    if not has_more:
        return TimelinePage(page, None)
    last = page[-1]
    return TimelinePage(page, encode_cursor(scope, [sortable(last.timestamp), last.type, last.id]))


def _parse_position(timestamp: str, type_: str, resource_id: str) -> Resource:
    """Return a resource that has only the type, id and timestamp of a cursor."""
    position = Resource(ResourceId(str(UUID(resource_id))), ResourceType(type_), "", parse(timestamp), "", {})
    sortable(position.timestamp)
    return position
