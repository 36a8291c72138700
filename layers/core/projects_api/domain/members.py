"""Who is in a project, and how they come and go."""

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
    members: list[Member]
    total: int


def list_page(user_id: UserId, project_id: ProjectId, *, limit: int, offset: int) -> MemberPage:
    """A page of the members: the owner first, then as they joined.

    Raises:
        ProjectNotFoundError: The caller is no member of the project.
    """
    membership = projects.get(user_id, project_id)
    return MemberPage(member_store.page(project_id, limit=limit, offset=offset), membership.project.member_count)


def add(user_id: UserId, project_id: ProjectId, *, email: str, role: Role) -> tuple[Member, bool]:
    """Makes a registered user a member, or changes the role of one who is.

    Returns:
        The member, and whether they were added.

    Raises:
        ProjectNotFoundError: The caller is no member of the project.
        NotAllowedError: The caller's role is too low.
        UserNotFoundError: Nobody is registered with ``email``.
        OwnerRoleError: They are the owner, whose role does not change.
    """
    address = normalize_email(email)

    def attempt() -> tuple[Member, bool]:
        found, user = member_store.find_user(project_id, user_id, address)
        project = require_membership(found, Action.MANAGE_MEMBERS).project
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


def remove(user_id: UserId, project_id: ProjectId, leaver_id: UserId) -> None:
    """Removes a member; one who is not the owner may so leave.

    Raises:
        ProjectNotFoundError: The caller is no member of the project.
        NotAllowedError: The caller's role is too low to remove others.
        MemberNotFoundError: ``leaver_id`` is no member.
        OwnerCannotLeaveError: The owner can't be removed, and can't leave.
    """

    def attempt() -> None:
        found, leaver = member_store.find(project_id, user_id, leaver_id)
        membership = require_membership(found, Action.READ)
        if user_id != leaver_id:
            require(Action.MANAGE_MEMBERS, membership.role)
        if leaver is None:
            raise MemberNotFoundError
        if leaver.role is Role.OWNER:
            raise OwnerCannotLeaveError
        member_store.remove(membership.project, leaver_id)

    retry_on_conflict(attempt)
