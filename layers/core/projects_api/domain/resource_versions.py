"""The versions of a resource: the resource as an event describes it, and the newer of two."""

import json
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from hashlib import sha256
from typing import Any

from projects_api.entities.activity_entry import Actor
from projects_api.entities.clock import sortable
from projects_api.entities.ids import ResourceId
from projects_api.entities.resource import Artifact, Origin, Resource, ResourceType


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
    origin: Origin | None = None,
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
        origin: The resource that this one was imported from.
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
        origin=origin,
    )


def merge_event(before: Resource | None, event: Resource) -> Resource:
    """Return the newer of the stored resource and the event.

    A repeated or older event changes nothing. A deletion is final: it replaces the stored resource even if that is
    newer, and no later event replaces the deletion. The same events therefore give the same result in any order.
    An imported resource keeps its origin, which no event names.
    """
    if before is None:
        return event
    if not before.deleted and (event.deleted or event.version > before.version):
        return replace(event, origin=before.origin)
    return before
