"""What events say of resources, and the timeline that this makes."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from projects_api.domain import projects
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.entities.clock import parse, sortable
from projects_api.entities.errors import InvalidInputError, ProjectNotFoundError
from projects_api.entities.ids import ProjectId, ResourceId, UserId
from projects_api.entities.resource import Artifact, Resource, ResourceType
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import resource_store


class Change(IntEnum):
    """What happened to a resource; of two at the same instant, the later one here is the newer."""

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
    beyond: str = "",
) -> Resource:
    """The resource as one event shows it.

    Its ``version`` orders the events of one resource the same way wherever and in whatever order they arrive: by
    time, then by kind of change, and where even these are equal by a digest of the content, so that the outcome
    depends on what was said and not on the order of its delivery. ``beyond`` has the digits of the time behind those
    of ``occurred_at``, without zeros at their end.
    """
    content = json.dumps([name, fields, artifact and [artifact.key, artifact.content_type]], sort_keys=True)
    digest = sha256(content.encode()).hexdigest()[:16]
    return Resource(
        id=id,
        type=type,
        name=name,
        timestamp=occurred_at,
        version=f"{sortable(occurred_at)}{beyond}#{change:d}#{digest}",
        fields=fields,
        artifact=artifact,
        deleted=change is Change.DELETED,
    )


def merge_event(before: Resource | None, event: Resource) -> Resource:
    """What is to be kept of a resource after an event.

    A repeat and an older event change nothing. Deletion is final: after it no event counts, and no event is too new
    for it, so that any order of the same events ends the same.
    """
    if before is None:
        return event
    if not before.deleted and (event.deleted or event.version > before.version):
        return event
    return before


def record(project_id: ProjectId, events: Sequence[Resource]) -> int:
    """Records what events say of a project's resources, with its counts in the same transaction: all, or nothing.

    Args:
        project_id: The project.
        events: At most ``storage.resources.RESOURCES_PER_TRANSACTION``, in any order. Several may be of one resource.

    Returns:
        How many resources changed.

    Raises:
        ProjectNotFoundError: The project does not exist, or not any more.
        ConflictError: One of them has no room in the table, or all have none together.
    """

    def attempt() -> int:
        before = resource_store.get_many(project_id, {event.key for event in events})
        after = dict(before)
        for event in events:
            after[event.key] = merge_event(after.get(event.key), event)
        changes = [(before.get(place), kept) for place, kept in after.items() if kept is not before.get(place)]
        try:
            if changes:
                resource_store.record(project_id, changes)
        except ConditionFailedError as error:
            if error.failed[0]:
                raise ProjectNotFoundError from None
            raise
        return len(changes)

    return retry_on_conflict(attempt)


@dataclass(frozen=True, slots=True)
class Timeline:
    resources: list[Resource]
    next_cursor: str | None


def timeline(
    user_id: UserId,
    project_id: ProjectId,
    *,
    type_: ResourceType | None,
    cursor: str | None,
    limit: int,
    descending: bool,
) -> Timeline:
    """A page of the project's resources by time, behind ``cursor``.

    Raises:
        ProjectNotFoundError: The caller is no member of the project.
        InvalidInputError: The cursor is not one of this timeline's.
    """
    after = _decode(cursor) if cursor else None
    if after and type_ and after.type is not type_:
        raise _bad_cursor()
    projects.get(user_id, project_id)
    found, more = resource_store.page(project_id, type_=type_, after=after, limit=limit, descending=descending)
    return Timeline(found, _encode(found[-1]) if more else None)


def _encode(resource: Resource) -> str:
    place = json.dumps([sortable(resource.timestamp), resource.type, resource.id])
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _decode(cursor: str) -> Resource:
    try:
        timestamp, type_, resource_id = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = Resource(ResourceId(str(UUID(resource_id))), ResourceType(type_), "", parse(timestamp), "", {})
        sortable(place.timestamp)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise _bad_cursor() from None
    return place


def _bad_cursor() -> InvalidInputError:
    return InvalidInputError(
        "This is no cursor of this timeline: give a page's next_cursor with the same type and order, or none.",
        loc=("query", "cursor"),
    )
