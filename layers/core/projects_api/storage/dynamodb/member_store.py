"""Members in the table. Each has an item in the project's partition and a membership in the user's partition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from projects_api.entities.activity_entry import ActivityEntry
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import sortable
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, UserId
from projects_api.entities.project import Member, Membership, Project, Role
from projects_api.entities.user import Email, User
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import announcement_store, keys, project_store, table
from projects_api.storage.dynamodb.item_mapping import (
    member_from_item,
    member_to_item,
    member_to_result,
    membership_to_item,
    user_from_item,
)
from projects_api.storage.dynamodb.keys import ACTIVE, Item, number, text
from projects_api.storage.dynamodb.project_store import build_project_count_update, change_content

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


def get(project_id: ProjectId, user_id: UserId) -> Member | None:
    """Return the member, or None if the user is not a member of the project."""
    item = table.get_item(keys.member(project_id, user_id))
    return member_from_item(item) if item else None


def get_with_membership(
    project_id: ProjectId, user_id: UserId, member_id: UserId
) -> tuple[Membership | None, Member | None]:
    """Return the membership of ``user_id`` and the member ``member_id``, in one read."""
    membership, (item,) = project_store.get_membership(project_id, user_id, keys.member(project_id, member_id))
    return membership, member_from_item(item) if item else None


def get_user_with_membership(
    project_id: ProjectId, user_id: UserId, email: Email
) -> tuple[Membership | None, User | None]:
    """Return the membership of ``user_id`` and the user who is registered with ``email``, in one read."""
    membership, (item,) = project_store.get_membership(project_id, user_id, keys.email(email))
    return membership, user_from_item(item) if item else None


def list_page(project_id: ProjectId, *, limit: int | None, offset: int) -> list[Member]:
    """Return a page of the members: the owner first, then the others in the order in which they joined."""
    items = table.query_all(
        keys.project_partition(project_id),
        begins_with=keys.MEMBERS,
        index=keys.BY_TIME,
        limit=None if limit is None else offset + limit,
    )
    return [member_from_item(item) for item in items][offset:]


def insert(project: Project, member: Member, entry: ActivityEntry, *, request: IdempotentRequest | None = None) -> None:
    """Add a member to the project.

    Args:
        project: The project.
        member: The new member.
        entry: The entry of the activity.
        request: The request, if it has an Idempotency-Key.

    Raises:
        ConditionFailedError: The user is a member already, or the project is deleted.
        RepeatedRequestError: An earlier request with the same Idempotency-Key took effect.
    """
    change_content(
        project,
        table.build_put(member_to_item(project.id, member), condition="attribute_not_exists(PK)"),
        table.build_put(membership_to_item(project, member)),
        build_project_count_update(member.user_id, 1),
        entries=[entry],
        counters={"member_count": 1},
        request=request,
        result=member_to_result(member, added=True),
    )


def change_role(
    project: Project, member: Member, role: Role, entry: ActivityEntry, *, request: IdempotentRequest | None = None
) -> None:
    """Change the role of ``member`` to ``role``.

    Args:
        project: The project.
        member: The member as they were read.
        role: The new role.
        entry: The entry of the activity.
        request: The request, if it has an Idempotency-Key.

    Raises:
        ConditionFailedError: The member has left or has another role than ``member.role``, or the project is deleted.
        RepeatedRequestError: An earlier request with the same Idempotency-Key took effect.
    """
    placeholders = {"names": {"#role": "role"}, "values": {":role": text(role), ":before": text(member.role)}}
    change_content(
        project,
        *(
            table.build_update(key, "SET #role = :role", condition="#role = :before", **placeholders)
            for key in (
                keys.member(project.id, member.user_id),
                keys.membership(member.user_id, project.created_at, project.id),
            )
        ),
        entries=[entry],
        request=request,
        result=member_to_result(replace(member, role=role), added=False),
    )


def remove(project: Project, member: Member, entry: ActivityEntry) -> None:
    """Remove a member from the project.

    Raises:
        ConditionFailedError: The member has left or has another role than ``member.role``, or the project is deleted.
    """
    change_content(project, *_build_removal(project, member), entries=[entry], counters={"member_count": -1})


def transfer(
    project: Project,
    previous: Member,
    owner: Member,
    announcement: Announcement,
    entries: Iterable[ActivityEntry],
    *,
    is_member: bool,
    remove_previous: bool = False,
) -> Project:
    """Make a user the owner of a project, in one transaction.

    Args:
        project: The project as it was read.
        previous: The owner as they were read.
        owner: The new owner, with the role that they have now.
        announcement: The announcement of the change, stored in the same transaction.
        entries: The entries of the activity.
        is_member: Whether the new owner is a member.
        remove_previous: Whether to remove the previous owner, who otherwise becomes an admin.

    Returns:
        The changed project.

    Raises:
        ConditionFailedError: The owner has changed, the new owner has joined, left, got another role or is deactivated,
            or the project is deleted.
    """
    writes = [table.build_put(membership_to_item(project, replace(owner, role=Role.OWNER)))]
    new_item = member_to_item(project.id, replace(owner, role=Role.OWNER))
    if is_member:
        writes += [
            _build_role_put(new_item, before=owner.role),
            table.build_condition_check(keys.user(owner.user_id), condition=keys.ACTIVE_USER),
        ]
    else:
        writes += [
            table.build_put(new_item, condition="attribute_not_exists(PK)"),
            build_project_count_update(owner.user_id, 1),
        ]
    if remove_previous:
        writes += _build_removal(project, previous)
    else:
        admin = replace(previous, role=Role.ADMIN)
        writes += [
            _build_role_put(member_to_item(project.id, admin), before=Role.OWNER),
            table.build_put(membership_to_item(project, admin)),
        ]
    return change_content(
        project,
        announcement_store.build_put(announcement),
        *writes,
        entries=entries,
        counters={"member_count": (not is_member) - remove_previous},
        sets={"owner_id": text(owner.user_id), "previous_owner_id": text(previous.user_id)},
        condition="#owner_id = :old_owner_id",
        condition_values={":old_owner_id": text(previous.user_id)},
    )


def _build_role_put(item: Item, *, before: Role) -> TransactWriteItemTypeDef:
    return table.build_put(item, condition="#role = :before", names={"#role": "role"}, values={":before": text(before)})


def remove_batch(project: Project) -> bool:
    """Remove up to ``MEMBERS_PER_TRANSACTION`` members from a deleted project.

    Returns:
        Whether there were any.
    """
    members = list_page(project.id, limit=MEMBERS_PER_TRANSACTION, offset=0)
    if members:
        with suppress(ConditionFailedError):  # another run removes the same members; the next batch reads what is left
            table.transact(*(write for member in members for write in _build_removal(project, member)))
    return bool(members)


def mark_deleted(
    project: Project,
    members: Sequence[Member],
    announcement: Announcement,
    moment: datetime,
    *,
    purge_due_at: datetime,
) -> None:
    """Mark a project as deleted and remove some of its members, in one transaction.

    Args:
        project: The project as it was read.
        members: The first members of the project, at most ``MEMBERS_PER_TRANSACTION``.
        announcement: The announcement of the deletion, stored in the same transaction.
        moment: The time of the deletion.
        purge_due_at: When the recovery job queues the purge again if the purge has not begun.

    Raises:
        ConditionFailedError: Since the read, the project was deleted or got another owner, or a member has joined, left
            or got another role.
    """
    project_update = table.build_update(
        keys.project(project.id),
        "SET deleted_at = :now, due_at = :due, pending_work = :purge REMOVE padding",
        condition=f"{ACTIVE} AND owner_id = :owner AND member_count = :members",
        values={
            ":owner": text(project.owner_id),
            ":now": text(sortable(moment)),
            ":due": text(sortable(purge_due_at)),
            ":purge": text(keys.pending_work("PURGE", project.id)),
            ":members": number(project.member_count),
        },
    )
    removals = [write for member in members for write in _build_removal(project, member)]
    table.transact(project_update, announcement_store.build_put(announcement), *removals)


def _build_removal(project: Project, member: Member) -> list[TransactWriteItemTypeDef]:
    return [
        table.build_delete(
            keys.member(project.id, member.user_id),
            condition="#role = :role",
            names={"#role": "role"},
            values={":role": text(member.role)},
        ),
        table.build_delete(keys.membership(member.user_id, project.created_at, project.id)),
        build_project_count_update(member.user_id, -1),
    ]


#: Number of members that one transaction can remove: three writes for each member, one for the project, and one for the
#: announcement.
MEMBERS_PER_TRANSACTION = (table.TRANSACTION_LIMIT - 2) // 3
