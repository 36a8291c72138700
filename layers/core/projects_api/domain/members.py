"""Members of a project: list, add, change and remove them."""

from dataclasses import dataclass

from projects_api.domain import projects
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require, require_membership
from projects_api.domain.users import normalize_email
from projects_api.entities.clock import now
from projects_api.entities.errors import MemberNotFoundError, OwnerCannotLeaveError, OwnerRoleError, UserNotFoundError
from projects_api.entities.ids import ProjectId, UserId
from projects_api.entities.project import Member, Role
from projects_api.storage.dynamodb import member_store


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


def add(user_id: UserId, project_id: ProjectId, *, email: str, role: Role) -> tuple[Member, bool]:
    """Add a registered user to the project, or change the role of an existing member.

    Returns:
        The member, and whether this call added them.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
        UserNotFoundError: No user is registered with ``email``.
        OwnerRoleError: The user is the owner, whose role does not change.
        InvalidInputError: ``email`` is not an email address.
    """
    address = normalize_email(email)

    def attempt() -> tuple[Member, bool]:
        membership, user = member_store.get_user_with_membership(project_id, user_id, address)
        project = require_membership(membership, Action.MANAGE_MEMBERS).project
        if user is None:
            raise UserNotFoundError
        if user.id == project.owner_id:
            raise OwnerRoleError
        before = member_store.get(project_id, user.id)
        if before is None:
            member = Member(user.id, user.email, user.name, role, now())
            member_store.insert(project, member)
            return member, True
        if before.role != role:
            member_store.change_role(project, before, role)
        return Member(before.user_id, before.email, before.name, role, before.created_at), False

    return retry_on_conflict(attempt)


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
        member_store.remove(membership.project, member_id)

    retry_on_conflict(attempt)
