"""Ownership of projects: the owner transfers it to another member, an operator to any active user."""

from dataclasses import replace

from projects_api.domain import announcements
from projects_api.domain.announcements import PROJECT_UPDATED, announce_project
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require
from projects_api.domain.users import get_by_email, normalize_email
from projects_api.entities.activity_entry import (
    OPERATOR,
    ActivityAction,
    ActivityEntry,
    ActivityObject,
    Actor,
    new_entry,
)
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import now
from projects_api.entities.errors import (
    ActiveUserNotFoundError,
    DeactivatedUserError,
    MemberNotFoundError,
    ProjectNotFoundError,
    StorageUnavailableError,
)
from projects_api.entities.ids import ProjectId, UserId
from projects_api.entities.project import Member, Membership, Project, Role
from projects_api.entities.user import User
from projects_api.storage.dynamodb import member_store, project_store, user_store


def transfer(user_id: UserId, project_id: ProjectId, *, email: str) -> Membership:
    """Make another member the owner. The caller, who was the owner, becomes an admin.

    A repeat by the previous owner changes nothing.

    Returns:
        The project with the caller's role from now on.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller is not the owner.
        MemberNotFoundError: No member has this email.
        DeactivatedUserError: The member is deactivated.
        InvalidInputError: ``email`` is not an email address.
    """
    address = normalize_email(email)

    def attempt() -> tuple[Membership, Announcement | None]:
        membership, user = member_store.get_user_with_membership(project_id, user_id, address)
        if membership is None:
            raise ProjectNotFoundError
        project = membership.project
        if user and user.id == project.owner_id and user_id in {project.owner_id, project.previous_owner_id}:
            return membership, None
        require(Action.TRANSFER, membership.role)
        member = member_store.get(project_id, user.id) if user else None
        if user is None or member is None:
            _require_active(project_id)
            raise MemberNotFoundError("No member of the project has this email. Add the user first: POST …/members.")
        if user.deactivated_at:
            raise DeactivatedUserError
        previous = _get_owner(project)
        announcement = announce_project(
            PROJECT_UPDATED, project_id, name=project.name, user_id=user_id, occurred_at=now()
        )
        entry = _new_entry(project, membership.actor, previous, member)
        changed = member_store.transfer(project, previous, member, announcement, [entry], is_member=True)
        return Membership(changed, Role.ADMIN, membership.actor), announcement

    membership, announcement = retry_on_conflict(attempt)
    if announcement:
        announcements.send(announcement)
    return membership


def transfer_by_operator(project_id: ProjectId, *, email: str) -> tuple[Project, User]:
    """Make any active user the owner, also one who is not a member.

    The previous owner becomes an admin, or is removed if they are deactivated. A repeat changes nothing, except that it
    removes a previous owner who was deactivated after the transfer.

    Returns:
        The project, and its owner.

    Raises:
        ProjectNotFoundError: The project does not exist.
        UserNotFoundError: No active user is registered with ``email``.
        InvalidInputError: ``email`` is not an email address.
    """

    def attempt() -> tuple[Project, User, Announcement | None]:
        user, project = get_by_email(email), project_store.get(project_id)
        if project is None or project.deleted_at:
            raise ProjectNotFoundError(
                "There is no such project: it was deleted, or this is not its id. "
                "The deactivation of a user returns the ids of the user's projects."
            )
        if user.deactivated_at:
            raise ActiveUserNotFoundError
        if user.id == project.owner_id:
            _remove_deactivated_previous_owner(project)
            return project, user, None
        previous, member = _get_owner(project), member_store.get(project_id, user.id)
        owner = member or Member(user.id, user.email, user.name, Role.VIEWER, now())
        remove_previous = _is_deactivated(previous.user_id)
        entries = [_new_entry(project, OPERATOR, previous, owner)]
        if remove_previous:
            entries.append(_new_removal(project, replace(previous, role=Role.ADMIN)))  # by the transfer
        announcement = announce_project(PROJECT_UPDATED, project_id, name=project.name, user_id=None, occurred_at=now())
        changed = member_store.transfer(
            project,
            previous,
            owner,
            announcement,
            entries,
            is_member=member is not None,
            remove_previous=remove_previous,
        )
        return changed, user, announcement

    project, user, announcement = retry_on_conflict(attempt)
    if announcement:
        announcements.send(announcement)
    return project, user


def _remove_deactivated_previous_owner(project: Project) -> None:
    user_id = project.previous_owner_id
    member = member_store.get(project.id, user_id) if user_id else None
    if member and member.role is not Role.OWNER and _is_deactivated(member.user_id):
        member_store.remove(project, member, _new_removal(project, member))


def _get_owner(project: Project) -> Member:
    owner = member_store.get(project.id, project.owner_id)
    if owner is None:
        _require_active(project.id)
        raise StorageUnavailableError
    return owner


def _require_active(project_id: ProjectId) -> None:
    """Raise ProjectNotFoundError if the project was deleted, with all its members, since it was read."""
    project = project_store.get(project_id)
    if project is None or project.deleted_at:
        raise ProjectNotFoundError


def _is_deactivated(user_id: UserId) -> bool:
    user = user_store.get(user_id)
    return user is not None and user.deactivated_at is not None


def _new_entry(project: Project, actor: Actor, previous: Member, owner: Member) -> ActivityEntry:
    return new_entry(
        project.id,
        actor,
        ActivityAction.PROJECT_TRANSFERRED,
        ActivityObject("project", project.id, project.name),
        before={"owner_id": previous.user_id, "owner_name": previous.name},
        after={"owner_id": owner.user_id, "owner_name": owner.name},
    )


def _new_removal(project: Project, member: Member) -> ActivityEntry:
    object_ = ActivityObject("member", member.user_id, member.name)
    return new_entry(project.id, OPERATOR, ActivityAction.MEMBER_REMOVED, object_, before={"role": member.role})
