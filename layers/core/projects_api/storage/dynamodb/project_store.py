"""Projects in the table, and the memberships that list a user's projects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from projects_api.entities.activity_entry import ActivityEntry, Actor
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import now, parse, sortable
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, UserId
from projects_api.entities.project import Caller, Member, Membership, Project, Role
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import activity_store, announcement_store, idempotency_store, keys, table
from projects_api.storage.dynamodb.item_mapping import (
    is_visible,
    member_to_item,
    membership_to_item,
    project_from_item,
    project_to_item,
)
from projects_api.storage.dynamodb.keys import ACTIVE, ACTIVE_USER, Item, number, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


def get_membership(
    project_id: ProjectId, user_id: UserId, *other_keys: Item
) -> tuple[Membership | None, list[Item | None]]:
    """Return the user's membership of a project and the items at ``other_keys``, in one read.

    Returns:
        The membership, or None if the project does not exist, is deleted, or does not have this member. Then, for each
        of ``other_keys``, its item or None.
    """
    project_key, member_key = keys.project(project_id), keys.member(project_id, user_id)
    distinct_keys = {keys.identity(key): key for key in (project_key, member_key, *other_keys)}
    items = table.get_items(list(distinct_keys.values()))

    def item_at(key: Item) -> Item | None:
        return items.get(keys.identity(key))

    project, member = item_at(project_key), item_at(member_key)
    other_items = [item_at(key) for key in other_keys]
    if project is None or member is None or not is_visible(project):
        return None, other_items
    actor = Actor(user_id, member["name"]["S"])
    return Membership(project_from_item(project), Role(member["role"]["S"]), actor), other_items


def get(project_id: ProjectId) -> Project | None:
    """Return the project, also if it is deleted and not yet purged, or None if it does not exist."""
    item = table.get_item(keys.project(project_id))
    return project_from_item(item) if item else None


def find_existing(project_ids: Sequence[ProjectId]) -> set[ProjectId]:
    """Return those of the projects that have an item, also if they are deleted and not yet purged."""
    items = table.get_items([keys.project(project_id) for project_id in project_ids])
    return {ProjectId(keys.last_key_part(item, "PK")) for item in items.values()}


def insert(
    project: Project,
    owner: Caller,
    announcement: Announcement,
    entry: ActivityEntry,
    *,
    request: IdempotentRequest | None,
) -> None:
    """Store a new project with its owner.

    Args:
        project: The project.
        owner: The project's owner.
        announcement: The announcement of the new project, stored in the same transaction.
        entry: The entry of the activity.
        request: The request, if it has an Idempotency-Key.

    Raises:
        RepeatedRequestError: An earlier request with the same Idempotency-Key created a project.
        ConditionFailedError: The owner is deactivated.
        InvalidInputError: An earlier request with the same Idempotency-Key had another body.
    """
    member = Member(owner.user_id, owner.email, owner.name, Role.OWNER, project.created_at)
    result = {
        "project_id": project.id,
        "name": project.name,
        "description": project.description,
        "created_at": sortable(project.created_at),
    }
    idempotency_store.transact(
        request,
        result,
        table.build_put(project_to_item(project), condition="attribute_not_exists(PK)"),
        table.build_put(member_to_item(project.id, member)),
        table.build_put(membership_to_item(project, member)),
        build_project_count_update(owner.user_id, 1),
        announcement_store.build_put(announcement),
        activity_store.build_entry(entry),
    )


def build_project_count_update(user_id: UserId, difference: int) -> TransactWriteItemTypeDef:
    """Return a transaction write that changes the number of a user's projects, which is the total of their list.

    The write fails if a deactivated user would get another project.
    """
    return table.build_update(
        keys.user(user_id),
        "ADD project_count :difference",
        condition=ACTIVE_USER if difference > 0 else "attribute_exists(PK)",
        values={":difference": number(difference)},
    )


def change_content(
    project: Project,
    *writes: TransactWriteItemTypeDef,
    entries: Iterable[ActivityEntry],
    counters: Mapping[str, int] | None = None,
    sets: Item | None = None,
    condition: str = "",
    condition_values: Item | None = None,
    request: IdempotentRequest | None = None,
    result: dict[str, Any] | None = None,
) -> Project:
    """Change a project's content in one transaction with its revision, its ``updated_at`` and its activity.

    Every change of the content uses this function. It increments the revision, so an export of an earlier revision is
    out of date, makes the project due for the export schedule, and moves ``updated_at`` forward. The clocks of two
    functions differ, so the new time is later than the stored one in any case.

    Args:
        project: The project as it was read.
        *writes: The other writes of the transaction.
        entries: The entries of the activity, which get the time of the change.
        counters: By attribute of the project's item, the difference to add.
        sets: By attribute of the project's item, the new value.
        condition: Another condition on the project's item, with the placeholders of ``sets`` and ``condition_values``.
        condition_values: The values of the placeholders of ``condition``.
        request: The request, if it has an Idempotency-Key.
        result: The result of the request, for ``idempotency_store``.

    Returns:
        The project with its new revision and ``updated_at``.

    Raises:
        ConditionFailedError: The project is deleted or does not meet ``condition`` (the first write), or the condition
            of another write did not hold.
        RepeatedRequestError: An earlier request with the same Idempotency-Key took effect.
    """
    entries = list(entries)
    differences = {name: difference for name, difference in (counters or {}).items() if difference}
    expression = f"{_SET_DUE}, updated_at = :now" + "".join(f", #{name} = :{name}" for name in sets or {})
    expression += " ADD revision :one" + "".join(f", {name} :{name}" for name in differences)
    values: Item = {
        **_due_values(project.id),
        ":one": number(1),
        **{f":{name}": number(difference) for name, difference in differences.items()},
        **{f":{name}": value for name, value in (sets or {}).items()},
        **(condition_values or {}),
    }
    stored = project.updated_at
    while True:
        moment = max(now(), stored + timedelta(microseconds=1))
        update = table.build_update(
            keys.project(project.id),
            expression,
            condition=f"{ACTIVE} AND updated_at < :now" + (f" AND {condition}" if condition else ""),
            names={f"#{name}": name for name in sets or {}},
            values=values | {":now": text(sortable(moment))},
        )
        activity = [activity_store.build_entry(replace(entry, at=moment)) for entry in entries]
        try:
            idempotency_store.transact(request, result or {}, update, *writes, *activity)
        except ConditionFailedError as error:
            item = error.items[0]
            if any(error.failed[1:]) or "updated_at" not in item or "deleted_at" in item:
                raise
            stored = parse(item["updated_at"]["S"])
            if stored < moment:
                raise
        else:
            return replace(project, revision=project.revision + 1, updated_at=moment)


#: Makes a project due for the export schedule. A project that is due already keeps its ``due_at``.
_SET_DUE = "SET pending_work = :due, due_at = if_not_exists(due_at, :now)"


def _due_values(project_id: ProjectId) -> Item:
    """Return the values of ``_SET_DUE``."""
    return {":due": text(keys.pending_work("DUE", project_id)), ":now": text(sortable(now()))}


def build_due(project_id: ProjectId) -> TransactWriteItemTypeDef:
    """Return the write for ``table.transact`` that makes a project due for the export schedule if it is not deleted."""
    return table.build_update(keys.project(project_id), _SET_DUE, condition=ACTIVE, values=_due_values(project_id))


def mark_due(project_id: ProjectId) -> None:
    """Make a project due for the export schedule.

    Raises:
        ConditionFailedError: The project does not exist or is deleted.
    """
    key = keys.project(project_id)
    table.update_item(key, _SET_DUE, condition=ACTIVE, values=_due_values(project_id))


def build_due_removal(project: Project) -> TransactWriteItemTypeDef:
    """Return the write for ``table.transact`` that removes a project from the pending work of the export schedule.

    Its condition fails if the project has changed since it was read, or if it is deleted.
    """
    return table.build_update(
        keys.project(project.id),
        "REMOVE pending_work, due_at",
        condition=f"{ACTIVE} AND revision = :revision",
        values={":revision": number(project.revision)},
    )


def rename(
    project: Project, announcement: Announcement, entry: ActivityEntry, *, name: str, description: str
) -> Project:
    """Change a project's name and description, and return the changed project.

    Args:
        project: The project as it was read.
        announcement: The announcement of the change, stored in the same transaction.
        entry: The entry of the activity.
        name: The new name.
        description: The new description.

    Raises:
        ConditionFailedError: The project's name or description has changed since it was read, or it is deleted.
    """
    changed = change_content(
        project,
        announcement_store.build_put(announcement),
        entries=[entry],
        sets={"name": text(name), "description": text(description)},
        condition="#name = :old_name AND #description = :old_description",
        condition_values={":old_name": text(project.name), ":old_description": text(project.description)},
    )
    return replace(changed, name=name, description=description)


def list_page(user_id: UserId, *, limit: int, offset: int, descending: bool) -> tuple[list[Membership], int]:
    """Return a page of the user's projects sorted by creation time, and the total number of their projects.

    Two reads, one after the other, suffice for any number of projects: first the memberships, then the page's projects
    with the user's own item, which has the total. Neither the page nor the total includes deleted projects. If a
    project is deleted between the two reads, both are repeated, because the total no longer includes it.
    """
    user_key = keys.user(user_id)
    for _ in range(2):
        rows = list(_query_memberships(user_id, limit=offset + limit, descending=descending))
        memberships, items = _get_projects(rows[offset:], user_key)
        missing = len(rows[offset:]) - len(memberships)
        if not missing:
            break
    if len(rows) < offset + limit:
        return memberships, len(rows) - missing  # the query has read all memberships
    user = items.get(keys.identity(user_key), {})
    project_count = int(user["project_count"]["N"]) if "project_count" in user else 0
    return memberships, max(project_count, len(rows)) - missing


def list_all(user_id: UserId) -> list[Membership]:
    """Return all projects of a user, with the user's role in each."""
    return _get_projects(list(_query_memberships(user_id)))[0]


def _query_memberships(user_id: UserId, *, limit: int | None = None, descending: bool = False) -> Iterator[Item]:
    """Yield the user's memberships, sorted by the creation time of their projects."""
    return table.query_all(
        keys.user_partition(user_id), begins_with=keys.MEMBERSHIPS, limit=limit, descending=descending
    )


def _get_projects(rows: Sequence[Item], *other_keys: Item) -> tuple[list[Membership], dict[tuple[str, str], Item]]:
    """Return the memberships in ``rows`` with their projects, without deleted ones, and all items that were read."""
    project_keys = [keys.project(ProjectId(keys.last_key_part(row, "SK"))) for row in rows]
    items = table.get_items([*project_keys, *other_keys])
    memberships = []
    for row, key in zip(rows, project_keys, strict=True):
        item = items.get(keys.identity(key))
        if item and is_visible(item):
            memberships.append(Membership(project_from_item(item), Role(row["role"]["S"])))
    return memberships, items
