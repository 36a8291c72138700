"""Members of a project: list, add, change and remove them."""

from dataclasses import dataclass, replace

from projects_api.domain import projects
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require, require_membership
from projects_api.domain.users import normalize_email
from projects_api.entities.activity_entry import ActivityAction, ActivityEntry, ActivityObject, Actor, Values, new_entry
from projects_api.entities.clock import now
from projects_api.entities.errors import MemberNotFoundError, OwnerCannotLeaveError, OwnerRoleError, UserNotFoundError
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, UserId
from projects_api.entities.project import Member, Role
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import idempotency_store, member_store
from projects_api.storage.dynamodb.idempotency_store import RepeatedRequestError
from projects_api.storage.dynamodb.item_mapping import member_from_result, member_to_result


@dataclass(frozen=True, slots=True)
class MemberPage:
    """A page of a project's members.

    Attributes:
        members: The members on the page.
        total: The number of members on all pages.
    """

    members: list[Member]
    total: int


def list_page(user_id: UserId, project_id: ProjectId, *, limit: int, offset: int) -> MemberPage:
    """Return a page of the project's members: the owner first, then the others in the order in which they joined.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
    """
    membership = projects.get(user_id, project_id)
    return MemberPage(member_store.list_page(project_id, limit=limit, offset=offset), membership.project.member_count)


def add(
    user_id: UserId, project_id: ProjectId, *, email: str, role: Role, request: IdempotentRequest | None = None
) -> tuple[Member, bool]:
    """Add a registered user to the project, or change the role of an existing member.

    Args:
        user_id: The caller.
        project_id: The project.
        email: The email of the user to add.
        role: The user's role from now on.
        request: The request, if it has an Idempotency-Key.

    Returns:
        The member, and whether this call added them. A repeated request returns the first result.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
        UserNotFoundError: No user is registered with ``email``.
        OwnerRoleError: The user is the owner, whose role does not change.
        InvalidInputError: ``email`` is not an email address, or an earlier request with the same Idempotency-Key had
            another body.
    """
    address = normalize_email(email)

    def attempt() -> tuple[Member, bool]:
        membership, user = member_store.get_user_with_membership(project_id, user_id, address)
        caller = require_membership(membership, Action.MANAGE_MEMBERS)
        project = caller.project
        if user is None or user.deactivated_at:
            raise UserNotFoundError
        if user.id == project.owner_id:
            raise OwnerRoleError
        before = member_store.get(project_id, user.id)
        if before and before.role is Role.OWNER:
            raise ConditionFailedError  # the user became the owner after the project was read
        if before is None:
            member = Member(user.id, user.email, user.name, role, now())
            added = ActivityAction.MEMBER_ADDED
            entry = _new_entry(project_id, caller.actor, added, member, after={"role": role})
            member_store.insert(project, member, entry, request=request)
            return member, True
        after = replace(before, role=role)
        if before.role != role:
            changed, roles = ActivityAction.MEMBER_ROLE_CHANGED, ({"role": before.role}, {"role": role})
            entry = _new_entry(project_id, caller.actor, changed, before, before=roles[0], after=roles[1])
            member_store.change_role(project, before, role, entry, request=request)
        elif request:
            idempotency_store.transact(request, member_to_result(after, added=False))
        return after, False

    try:
        return retry_on_conflict(attempt)
    except RepeatedRequestError as repeat:
        return member_from_result(repeat.result)


def remove(user_id: UserId, project_id: ProjectId, member_id: UserId) -> None:
    """Remove a member from the project. Every member except the owner may remove themselves.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low to remove others.
        MemberNotFoundError: ``member_id`` is not a member.
        OwnerCannotLeaveError: ``member_id`` is the owner.
    """

    def attempt() -> None:
        caller, member = member_store.get_with_membership(project_id, user_id, member_id)
        membership = require_membership(caller, Action.READ)
        if user_id != member_id:
            require(Action.MANAGE_MEMBERS, membership.role)
        if member is None:
            raise MemberNotFoundError
        if member.role is Role.OWNER:
            raise OwnerCannotLeaveError
        action = ActivityAction.MEMBER_LEFT if user_id == member_id else ActivityAction.MEMBER_REMOVED
        entry = _new_entry(project_id, membership.actor, action, member, before={"role": member.role})
        member_store.remove(membership.project, member, entry)

    retry_on_conflict(attempt)


def _new_entry(
    project_id: ProjectId,
    actor: Actor,
    action: ActivityAction,
    member: Member,
    *,
    before: Values | None = None,
    after: Values | None = None,
) -> ActivityEntry:
    object_ = ActivityObject("member", member.user_id, member.name)
    return new_entry(project_id, actor, action, object_, before=before, after=after)
