"""Deactivation of users, when they leave the organization."""

from dataclasses import dataclass, replace

from projects_api.domain import users
from projects_api.entities.clock import now
from projects_api.entities.ids import ProjectId
from projects_api.entities.project import Role
from projects_api.entities.user import ApiKey, User
from projects_api.storage.dynamodb import project_store, user_store


@dataclass(frozen=True, slots=True)
class Deactivation:
    """The result of a deactivation.

    Attributes:
        user: The deactivated user.
        keys: All keys of the user. None is valid any more.
        owned_project_ids: The projects that the user still owns. An operator can transfer them.
        member_project_ids: The projects of others that the user is still a member of.
    """

    user: User
    keys: list[ApiKey]
    owned_project_ids: list[ProjectId]
    member_project_ids: list[ProjectId]


def deactivate(email: str) -> Deactivation:
    """Deactivate a user: mark them, then revoke all their keys.

    From the mark on, the authorizer rejects the keys, even if this function stops before it has revoked them. A repeat
    revokes the others.

    Raises:
        UserNotFoundError: No user is registered with ``email``.
        InvalidInputError: ``email`` is not an email address.
    """
    user, moment = users.get_by_email(email), now()
    user_store.deactivate(user, moment)
    keys = [
        key if key.revoked_at else user_store.revoke_api_key(key.id, moment)
        for key in user_store.list_api_keys(user.id)
    ]
    memberships = project_store.list_all(user.id)
    return Deactivation(
        # the item that get_by_email reads has no count
        replace(user, deactivated_at=user.deactivated_at or moment, project_count=len(memberships)),
        keys,
        owned_project_ids=[each.project.id for each in memberships if each.role is Role.OWNER],
        member_project_ids=[each.project.id for each in memberships if each.role is not Role.OWNER],
    )
