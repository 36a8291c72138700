"""Members in the table: in the project's partition who they are, in the user's own that they are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from projects_api.entities.clock import sortable
from projects_api.entities.ids import ProjectId, UserId
from projects_api.entities.project import Member, Membership, Project, Role
from projects_api.entities.user import Email, User
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import keys, project_store, table
from projects_api.storage.dynamodb.item_mapping import (
    member_from_item,
    member_to_item,
    membership_to_item,
    user_from_item,
)
from projects_api.storage.dynamodb.keys import number, text
from projects_api.storage.dynamodb.project_store import ACTIVE, changed, count_membership

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


def get(project_id: ProjectId, user_id: UserId) -> Member | None:
    """The member, or None where the user is none."""
    item = table.get(keys.member(project_id, user_id))
    return member_from_item(item) if item else None


def find(project_id: ProjectId, user_id: UserId, member_id: UserId) -> tuple[Membership | None, Member | None]:
    """A member with what the user ``user_id`` may do in the project, in one read."""
    membership, (item,) = project_store.find(project_id, user_id, keys.member(project_id, member_id))
    return membership, member_from_item(item) if item else None


def find_user(project_id: ProjectId, user_id: UserId, email: Email) -> tuple[Membership | None, User | None]:
    """Who is registered with ``email``, with what the user ``user_id`` may do in the project, in one read."""
    membership, (item,) = project_store.find(project_id, user_id, keys.email(email))
    return membership, user_from_item(item) if item else None


def page(project_id: ProjectId, *, limit: int | None, offset: int) -> list[Member]:
    """A page of the members: the owner first, then as they joined."""
    rows = table.query_all(
        keys.project_partition(project_id),
        begins_with=keys.MEMBERS,
        index=keys.BY_TIME,
        limit=None if limit is None else offset + limit,
    )
    return [member_from_item(item) for item in rows][offset:]


def insert(project: Project, member: Member) -> None:
    """Makes a user a member.

    Raises:
        ConditionFailedError: They are one already, or the project is gone.
    """
    table.transact(
        changed(project.id, counters={"member_count": 1}),
        table.put(member_to_item(project.id, member), condition="attribute_not_exists(PK)"),
        table.put(membership_to_item(project, member)),
        count_membership(member.user_id, 1),
    )


def change_role(project: Project, member: Member, role: Role) -> None:
    """Gives a member another role.

    Raises:
        ConditionFailedError: They are no member any more, have another role by now, or the project is gone.
    """
    role_is = {"names": {"#role": "role"}, "values": {":role": text(role), ":before": text(member.role)}}
    table.transact(
        changed(project.id),
        *(
            table.update(key, "SET #role = :role", condition="#role = :before", **role_is)
            for key in (
                keys.member(project.id, member.user_id),
                keys.membership(member.user_id, project.created_at, project.id),
            )
        ),
    )


def remove(project: Project, user_id: UserId) -> None:
    """Ends a membership.

    Raises:
        ConditionFailedError: They are no member any more, or the project is gone.
    """
    table.transact(changed(project.id, counters={"member_count": -1}), *_removal(project, user_id))


def remove_batch(project: Project) -> bool:
    """Ends up to ``MEMBERS_PER_TRANSACTION`` memberships of a project that is being deleted.

    Returns:
        Whether there were any.
    """
    present = page(project.id, limit=MEMBERS_PER_TRANSACTION, offset=0)
    if present:
        with suppress(ConditionFailedError):  # another ends them at the same time; what is left is read again
            table.transact(*(write for member in present for write in _removal(project, member.user_id)))
    return bool(present)


def mark_deleted(project: Project, members: Sequence[Member], moment: datetime, *, stalled_at: datetime) -> None:
    """Deletes a project for everybody, and the memberships of ``members``, at most ``MEMBERS_PER_TRANSACTION``, with it.

    Args:
        project: The project, as it was read.
        members: Its members, or the first of them.
        moment: Now.
        stalled_at: From when on a purge that has not begun is sent for again.

    Raises:
        ConditionFailedError: It is gone already, or somebody has joined or left since ``project`` was read.
    """
    gone = table.update(
        keys.project(project.id),
        "SET deleted_at = :now, due_at = :stalled, pending_work = :purge REMOVE padding",
        condition=f"{ACTIVE} AND member_count = :members",
        values={
            ":now": text(sortable(moment)),
            ":stalled": text(sortable(stalled_at)),
            ":purge": text(keys.pending_work("PURGE", project.id)),
            ":members": number(project.member_count),
        },
    )
    table.transact(gone, *(write for member in members for write in _removal(project, member.user_id)))


def _removal(project: Project, user_id: UserId) -> list[TransactWriteItemTypeDef]:
    return [
        table.delete(keys.member(project.id, user_id), condition="attribute_exists(PK)"),
        table.delete(keys.membership(user_id, project.created_at, project.id)),
        count_membership(user_id, -1),
    ]


#: How many memberships fit into one transaction beside the project.
MEMBERS_PER_TRANSACTION = (table.TRANSACTION_LIMIT - 1) // 3
