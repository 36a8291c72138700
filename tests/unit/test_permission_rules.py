"""The permission rules, tested without storage and HTTP. `test_authority.py` tests them through the API."""

from datetime import UTC, datetime

import pytest

from projects_api.domain.permissions import Action, require, require_membership, require_scope
from projects_api.entities.errors import NotAllowedError, ProjectNotFoundError
from projects_api.entities.ids import ProjectId, UserId
from projects_api.entities.project import Membership, Project, Role
from projects_api.entities.user import Scope

MOMENT = datetime(2026, 2, 10, 9, 0, 2, tzinfo=UTC)
PROJECT = Project(ProjectId("p"), "Name", "", UserId("u"), MOMENT, MOMENT)


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        (Action.READ, {Role.VIEWER, Role.EDITOR, Role.ADMIN, Role.OWNER}),
        (Action.EXPORT, {Role.VIEWER, Role.EDITOR, Role.ADMIN, Role.OWNER}),
        (Action.UPDATE, {Role.EDITOR, Role.ADMIN, Role.OWNER}),
        (Action.FRESH_EXPORT, {Role.EDITOR, Role.ADMIN, Role.OWNER}),
        (Action.CANCEL_EXPORT, {Role.ADMIN, Role.OWNER}),
        (Action.MANAGE_MEMBERS, {Role.OWNER}),
        (Action.DELETE, {Role.OWNER}),
    ],
)
def test_each_action_is_allowed_from_its_lowest_role(action: Action, allowed: set[Role]) -> None:
    for role in Role:
        membership = Membership(PROJECT, role)
        if role in allowed:
            require(action, role)
            assert require_membership(membership, action) is membership
        else:
            with pytest.raises(NotAllowedError):
                require(action, role)
            with pytest.raises(NotAllowedError):
                require_membership(membership, action)


def test_a_project_does_not_exist_for_a_caller_who_is_not_a_member() -> None:
    with pytest.raises(ProjectNotFoundError):
        require_membership(None, Action.READ)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            Action.UPDATE,
            "Your role in this project is viewer. To change the project, you need the role editor or higher.",
        ),
        (Action.DELETE, "Your role in this project is viewer. To delete the project, you need the role owner."),
    ],
)
def test_the_error_names_the_role_and_the_role_that_is_needed(action: Action, message: str) -> None:
    with pytest.raises(NotAllowedError) as error:
        require(action, Role.VIEWER)
    assert str(error.value) == message


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize("scope", Scope)
def test_a_scope_allows_reading_writing_or_both(method: str, scope: Scope) -> None:
    reads = method in {"GET", "HEAD"}
    if scope is Scope.ADMIN or scope is (Scope.READ if reads else Scope.WRITE):
        require_scope(method, frozenset({scope}))
    else:
        with pytest.raises(NotAllowedError):
            require_scope(method, frozenset({scope}))


@pytest.mark.parametrize(
    ("scopes", "message"),
    [
        (set(), "This API key has the scopes: none. POST needs 'write'. Ask an operator for a key with that scope."),
        (
            {Scope.READ},
            "This API key has the scopes: read. POST needs 'write'. Ask an operator for a key with that scope.",
        ),
    ],
)
def test_the_error_names_the_scopes_and_the_scope_that_is_needed(scopes: set[Scope], message: str) -> None:
    with pytest.raises(NotAllowedError) as error:
        require_scope("POST", frozenset(scopes))
    assert str(error.value) == message
