"""Activity: the audit trail of a project, which says who changed what and when."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from projects_api.entities.clock import now
from projects_api.entities.ids import ProjectId, UserId, new_id

#: Maximum size of the values of an entry, before and after together, in bytes of JSON.
MAX_VALUES_SIZE = 4096

#: Lengths to which longer values are cut, in characters. The first one with which all values fit is used.
_CUT_LENGTHS = (1000, 500, 200, 50, 20)

#: The mark of a cut value, and the name under which a cut object says how many values are missing.
_CUT = "…"

type Values = dict[str, Any]


class ActivityAction(StrEnum):
    PROJECT_CREATED = "project.created"
    PROJECT_UPDATED = "project.updated"
    PROJECT_TRANSFERRED = "project.transferred"
    PROJECT_IMPORTED = "project.imported"
    MEMBER_ADDED = "member.added"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_REMOVED = "member.removed"
    MEMBER_LEFT = "member.left"
    RESOURCE_CREATED = "resource.created"
    RESOURCE_UPDATED = "resource.updated"
    RESOURCE_DELETED = "resource.deleted"
    EXPORT_STARTED = "export.started"
    EXPORT_READY = "export.ready"
    EXPORT_FAILED = "export.failed"
    EXPORT_CANCELLED = "export.cancelled"
    EXPORT_DOWNLOADED = "export.downloaded"


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who changed something: a user, or a service.

    Attributes:
        user_id: The user's id, or None for a service.
        name: The user's name at the time of the change.
        service: The source of an event, ``schedule`` or ``operator``. None for a user.
    """

    user_id: UserId | None = None
    name: str | None = None
    service: str | None = None


#: The actor of a change that nobody is known to have made.
UNKNOWN = Actor()

SCHEDULE = Actor(service="schedule")
OPERATOR = Actor(service="operator")


@dataclass(frozen=True, slots=True)
class ActivityObject:
    """The object that an entry is about.

    Attributes:
        type: ``project``, ``member``, ``export``, or the type of a resource.
        id: The object's id. The id of a member is the id of the user.
        name: The object's name at the time of the change. None for an export and for a deleted, unknown resource.
    """

    type: str
    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """An entry of the audit trail.

    Attributes:
        before: The changed values before the change, or None if there were none.
        after: The changed values after the change, or None if there are none.
    """

    id: str
    at: datetime
    project_id: ProjectId
    actor: Actor
    action: ActivityAction
    object: ActivityObject
    before: Values | None = None
    after: Values | None = None


def new_entry(
    project_id: ProjectId,
    actor: Actor,
    action: ActivityAction,
    object_: ActivityObject,
    *,
    before: Values | None = None,
    after: Values | None = None,
) -> ActivityEntry:
    """Return a new entry of this moment. Values that did not change are left out, and long ones are cut."""
    if before is not None and after is not None:
        changed = [name for name in before | after if before.get(name) != after.get(name)]
        before = {name: before[name] for name in changed if name in before}
        after = {name: after[name] for name in changed if name in after}
    before, after = cut_values(before, after)
    return ActivityEntry(new_id(), now(), project_id, actor, action, object_, before, after)


def cut_values(before: Values | None, after: Values | None) -> tuple[Values | None, Values | None]:
    """Return both with long values cut, so that together they take at most ``MAX_VALUES_SIZE`` bytes of JSON."""
    if _size(before, after) <= MAX_VALUES_SIZE:
        return before, after
    for length in _CUT_LENGTHS:
        cut = _cut(before, length), _cut(after, length)
        if _size(*cut) <= MAX_VALUES_SIZE:
            return cut
    names = list((cut[0] or {}) | (cut[1] or {}))
    fitting, too_many = 0, len(names)
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if _size(*(_keep_first(values, names[:middle]) for values in cut)) <= MAX_VALUES_SIZE:
            fitting = middle
        else:
            too_many = middle
    return _keep_first(cut[0], names[:fitting]), _keep_first(cut[1], names[:fitting])


def _size(*values: Values | None) -> int:
    return sum(len(json.dumps(value, ensure_ascii=False).encode()) for value in values)


def _cut(values: Values | None, length: int) -> Values | None:
    return values and {_cut_text(name, length): _cut_value(value, length) for name, value in values.items()}


def _cut_value(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return _cut_text(value, length)
    text = json.dumps(value, ensure_ascii=False)
    return value if len(text) <= length else _cut_text(text, length)


def _cut_text(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + _CUT


def _keep_first(values: Values | None, names: Iterable[str]) -> Values | None:
    if not values:
        return values
    kept = {name: values[name] for name in names if name in values}
    missing = len(values) - len(kept)
    return kept | {_CUT: f"and {missing} more"} if missing else kept
