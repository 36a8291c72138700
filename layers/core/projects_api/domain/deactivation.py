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
    """

    user: User
    keys: list[ApiKey]
    owned_project_ids: list[ProjectId]


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
    owned = [one.project.id for one in project_store.list_all(user.id) if one.role is Role.OWNER]
    return Deactivation(replace(user, deactivated_at=user.deactivated_at or moment), keys, owned)
