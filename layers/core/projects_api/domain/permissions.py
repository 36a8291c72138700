"""Who may do what: the whole of it, as data."""

from enum import Enum

from projects_api.entities.errors import NotAllowedError, ProjectNotFoundError
from projects_api.entities.project import Membership, Role
from projects_api.entities.user import Scope

#: Lowest first.
ROLES = tuple(Role)

#: The roles that POST …/members gives. A project has exactly one owner, who created it.
ASSIGNABLE_ROLES = (Role.VIEWER, Role.EDITOR, Role.ADMIN)


class Action(Enum):
    """What can be done in a project, and the lowest role that may."""

    READ = ("read the project", Role.VIEWER)
    EXPORT = ("export the project", Role.VIEWER)
    UPDATE = ("change the project", Role.EDITOR)
    MANAGE_MEMBERS = ("add, change or remove members", Role.OWNER)
    DELETE = ("delete the project", Role.OWNER)

    def __init__(self, words: str, lowest: Role) -> None:
        self.words = words
        self.lowest = lowest


def require(action: Action, role: Role) -> None:
    """Raises unless ``role`` may do ``action``.

    Raises:
        NotAllowedError: ``role`` is too low.
    """
    if ROLES.index(role) < ROLES.index(action.lowest):
        needed = action.lowest if action.lowest is Role.OWNER else f"at least {action.lowest}"
        raise NotAllowedError(f"Your role in this project is {role}; to {action.words} takes {needed}.")


def require_membership(membership: Membership | None, action: Action) -> Membership:
    """The membership, if there is one and its role may do ``action``.

    Raises:
        ProjectNotFoundError: The caller is not a member, which looks the same as no project.
        NotAllowedError: The role is too low.
    """
    if membership is None:
        raise ProjectNotFoundError
    require(action, membership.role)
    return membership


def require_scope(method: str, scopes: frozenset[Scope]) -> None:
    """Raises unless an API key with ``scopes`` may be used for an HTTP ``method``.

    GET takes ``read``, everything else ``write``, and ``admin`` is both.

    Raises:
        NotAllowedError: The scope is missing.
    """
    needed = Scope.READ if method in {"GET", "HEAD"} else Scope.WRITE
    if not scopes & {needed, Scope.ADMIN}:
        held = ", ".join(sorted(scopes)) or "none"
        raise NotAllowedError(f"This API key has the scopes: {held}. {method} takes '{needed}'; ask for such a key.")
