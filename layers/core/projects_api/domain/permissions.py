"""Permissions: what each role and each API key scope allows, as data."""

from enum import Enum

from projects_api.entities.errors import NotAllowedError, ProjectNotFoundError
from projects_api.entities.project import Membership, Role
from projects_api.entities.user import Scope

#: All roles, lowest first. A role may do everything that a lower role may do.
ROLES = tuple(Role)

#: The roles that POST …/members assigns. A project has exactly one owner.
ASSIGNABLE_ROLES = (Role.VIEWER, Role.EDITOR, Role.ADMIN)


class Action(Enum):
    """An action on a project.

    Attributes:
        description: The action as an infinitive without "to", for error messages.
        lowest_role: The lowest role that may do it.
    """

    READ = ("read the project", Role.VIEWER)
    EXPORT = ("export the project", Role.VIEWER)
    UPDATE = ("change the project", Role.EDITOR)
    CHANGE_RESOURCES = ("add, replace or delete resources", Role.EDITOR)
    READ_ACTIVITY = ("read the activity", Role.ADMIN)
    TRANSFER = ("transfer the ownership", Role.OWNER)
    FRESH_EXPORT = ("make a fresh export", Role.EDITOR)
    CANCEL_EXPORT = ("cancel an export", Role.ADMIN)
    MANAGE_MEMBERS = ("add, change or remove members", Role.OWNER)
    DELETE = ("delete the project", Role.OWNER)

    def __init__(self, description: str, lowest_role: Role) -> None:  # pragma: no mutate block - mutmut can't
        self.description = description
        self.lowest_role = lowest_role


def require(action: Action, role: Role) -> None:
    """Raise an error unless ``role`` may do ``action``.

    Raises:
        NotAllowedError: ``role`` is too low.
    """
    if ROLES.index(role) < ROLES.index(action.lowest_role):
        required = action.lowest_role if action.lowest_role is Role.OWNER else f"{action.lowest_role} or higher"
        raise NotAllowedError(
            f"Your role in this project is {role}. To {action.description}, you need the role {required}."
        )


def require_membership(membership: Membership | None, action: Action) -> Membership:
    """Return ``membership`` if it exists and its role may do ``action``.

    Raises:
        ProjectNotFoundError: The caller is not a member. To them, the project does not exist.
        NotAllowedError: The caller's role is too low.
    """
    if membership is None:
        raise ProjectNotFoundError
    require(action, membership.role)
    return membership


def require_scope(method: str, scopes: frozenset[Scope]) -> None:
    """Raise an error unless an API key with ``scopes`` may send a request with this HTTP ``method``.

    GET and HEAD need ``read``, all other methods ``write``. ``admin`` includes both.

    Raises:
        NotAllowedError: The API key lacks the scope.
    """
    required = Scope.READ if method in {"GET", "HEAD"} else Scope.WRITE
    if not scopes & {required, Scope.ADMIN}:
        held = ", ".join(sorted(scopes)) or "none"
        raise NotAllowedError(
            f"This API key has the scopes: {held}. {method} needs '{required}'. "
            "Ask an operator for a key with that scope."
        )
