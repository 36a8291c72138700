"""Projects in the table, and the memberships that lists of projects are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from projects_api.entities.clock import now, parse, sortable
from projects_api.entities.ids import ProjectId, UserId
from projects_api.entities.project import Caller, Member, Membership, Project, Role
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.item_mapping import (
    member_to_item,
    membership_to_item,
    project_from_item,
    project_to_item,
)
from projects_api.storage.dynamodb.keys import Item, number, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: A project that is there, and not being deleted.
ACTIVE = "attribute_exists(PK) AND attribute_not_exists(deleted_at)"

#: How long a repeat with the same Idempotency-Key gets the first answer.
IDEMPOTENCY_WINDOW = timedelta(days=1)


def find(project_id: ProjectId, user_id: UserId, *others: Item) -> tuple[Membership | None, list[Item | None]]:
    """A project with what the user may do in it, and whatever else is wanted, in one read.

    Returns:
        The membership, or None where the project is not there, is being deleted, or has no such member; and what
        is at each key of ``others``.
    """
    project_key, member_key = keys.project(project_id), keys.member(project_id, user_id)
    wanted = {(key["PK"]["S"], key["SK"]["S"]): key for key in (project_key, member_key, *others)}
    found = table.get_many(list(wanted.values()))

    def at(key: Item) -> Item | None:
        return found.get((key["PK"]["S"], key["SK"]["S"]))

    project, member = at(project_key), at(member_key)
    rest = [at(key) for key in others]
    if project is None or member is None or "deleted_at" in project:
        return None, rest
    return Membership(project_from_item(project), Role(member["role"]["S"])), rest


def get(project_id: ProjectId) -> Project | None:
    """The project, even where it is being deleted."""
    item = table.get(keys.project(project_id))
    return project_from_item(item) if item else None


def insert(project: Project, owner: Caller, *, idempotency_key: str | None, fingerprint: str) -> tuple[Project, str]:
    """Stores a new project with its owner, or finds the one that the same Idempotency-Key made before.

    Returns:
        The project as it was first answered, and the fingerprint of the request that made it.
    """
    member = Member(owner.user_id, owner.email, owner.name, Role.OWNER, project.created_at)
    writes = [
        table.put(project_to_item(project), condition="attribute_not_exists(PK)"),
        table.put(member_to_item(project.id, member)),
        table.put(membership_to_item(project, member)),
        count_membership(owner.user_id, 1),
    ]
    if idempotency_key:
        answer = keys.idempotency(owner.user_id, idempotency_key) | {
            "project_id": text(project.id),
            "name": text(project.name),
            "description": text(project.description),
            "created_at": text(sortable(project.created_at)),
            "fingerprint": text(fingerprint),
            "expires_at": number(int((project.created_at + IDEMPOTENCY_WINDOW).timestamp())),
        }
        unclaimed = "attribute_not_exists(PK) OR expires_at < :now"
        writes.append(table.put(answer, condition=unclaimed, values={":now": number(int(now().timestamp()))}))
    try:
        table.transact(*writes)
    except ConditionFailedError as error:
        first = error.items[-1]
        if not (idempotency_key and error.failed[-1]):
            raise
        created_at = parse(first["created_at"]["S"])
        answered = Project(
            id=ProjectId(first["project_id"]["S"]),
            name=first["name"]["S"],
            description=first["description"]["S"],
            owner_id=owner.user_id,
            created_at=created_at,
            updated_at=created_at,
        )
        return answered, first["fingerprint"]["S"]
    return project, fingerprint


def count_membership(user_id: UserId, difference: int) -> TransactWriteItemTypeDef:
    """Keeps the number of projects that a user is a member of, which lists give as their total."""
    return table.update(
        keys.user(user_id),
        "ADD project_count :difference",
        condition="attribute_exists(PK)",
        values={":difference": number(difference)},
    )


def change(
    project_id: ProjectId, *, counters: dict[str, int] | None = None, sets: str = "", values: Item | None = None
) -> tuple[Item, str, str, dict[str, str], Item]:
    """What every change of a project's content does to its item: key, expression, condition, names and values.

    Its revision grows, so that its last export is no longer of what it is now, and it is due for the schedule.
    """
    added = {name: difference for name, difference in (counters or {}).items() if difference}
    expression = _SET_DUE + sets
    expression += " ADD revision :one" + "".join(f", {name} :{name}" for name in added)
    given: Item = {
        **_due(project_id),
        ":one": number(1),
        **{f":{name}": number(difference) for name, difference in added.items()},
        **(values or {}),
    }
    return keys.project(project_id), expression, ACTIVE, {}, given


def changed(project_id: ProjectId, *, counters: dict[str, int] | None = None) -> TransactWriteItemTypeDef:
    """``change`` as one write of a transaction."""
    key, expression, condition, names, values = change(project_id, counters=counters)
    return table.update(key, expression, condition=condition, names=names, values=values)


#: Puts a project on what the schedule has to do, if it is not there yet.
_SET_DUE = "SET pending_work = :due, due_at = if_not_exists(due_at, :now)"


def _due(project_id: ProjectId) -> Item:
    """The values of ``_SET_DUE``."""
    return {":due": text(keys.pending_work("DUE", project_id)), ":now": text(sortable(now()))}


def mark_due(project_id: ProjectId) -> None:
    """Puts a project on what is due.

    Raises:
        ConditionFailedError: It is not there, or is being deleted.
    """
    key = keys.project(project_id)
    table.update_one(key, _SET_DUE, condition=ACTIVE, values=_due(project_id))


def clear_due(project: Project) -> None:
    """Takes a project off what is due.

    Raises:
        ConditionFailedError: It has changed since ``project`` was read, so that it is due all the same.
    """
    table.update_one(
        keys.project(project.id),
        "REMOVE pending_work, due_at",
        condition=f"{ACTIVE} AND revision = :revision",
        values={":revision": number(project.revision)},
    )


def rename(project_id: ProjectId, *, name: str, description: str | None, updated_at: datetime) -> Project:
    """Gives a project another name and, where there is one, another description.

    Raises:
        ConditionFailedError: It is not there, or is being deleted.
    """
    sets = ", #name = :name, updated_at = :updated_at"
    given = {":name": text(name), ":updated_at": text(sortable(updated_at))}
    if description is not None:
        sets += ", description = :description"
        given[":description"] = text(description)
    key, expression, condition, names, values = change(project_id, sets=sets, values=given)
    item = table.update_one(key, expression, condition=condition, names=names | {"#name": "name"}, values=values)
    return project_from_item(item)


def page(user_id: UserId, *, limit: int, offset: int, descending: bool) -> tuple[list[Membership], int]:
    """A page of the user's projects by the time of their creation, and how many there are in all.

    Two reads one after the other, however many projects there are: the keys, then the projects of the page with the
    user's own item, which holds the total. A project that is being deleted is left out of both. One that went between
    the two reads has both made again, since the total is already without it.
    """
    user_key = keys.user(user_id)
    for _ in range(2):
        read = list(_rows(user_id, limit=offset + limit, descending=descending))
        memberships, found = _memberships(read[offset:], user_key)
        gone = len(read[offset:]) - len(memberships)
        if not gone:
            break
    if len(read) < offset + limit:
        return memberships, len(read) - gone  # these are all
    user = found.get((user_key["PK"]["S"], user_key["SK"]["S"]), {})
    counted = int(user["project_count"]["N"]) if "project_count" in user else 0
    return memberships, max(counted, len(read)) - gone


def all_of(user_id: UserId) -> list[Membership]:
    """All of the user's projects."""
    return _memberships(list(_rows(user_id)))[0]


def _rows(user_id: UserId, *, limit: int | None = None, descending: bool = False) -> Iterator[Item]:
    """The user's memberships, sorted by the time of their project's creation."""
    return table.query_all(
        keys.user_partition(user_id), begins_with=keys.MEMBERSHIPS, limit=limit, descending=descending
    )


def _memberships(rows: Sequence[Item], *others: Item) -> tuple[list[Membership], dict[tuple[str, str], Item]]:
    project_keys = [keys.project(ProjectId(keys.last_key_part(row, "SK"))) for row in rows]
    found = table.get_many([*project_keys, *others])
    memberships = []
    for row, key in zip(rows, project_keys, strict=True):
        item = found.get((key["PK"]["S"], key["SK"]["S"]))
        if item and "deleted_at" not in item:
            memberships.append(Membership(project_from_item(item), Role(row["role"]["S"])))
    return memberships, found
