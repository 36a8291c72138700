"""The platform's published SDK, ``coreplexml``, works unmodified for everything that it calls of projects."""

import inspect
import uuid
from collections.abc import Iterator
from typing import Any

import coreplexml
import pytest
from coreplexml.projects import ProjectsResource

from tests.support.running_stack import RunningStack


@pytest.fixture
def sdk(stack: RunningStack) -> Iterator[Any]:
    with coreplexml.CorePlexMLClient(stack.description["base_url"], stack.client("alice").api_key) as client:
        yield client


#: Methods of the SDK that ``test_project`` calls.
CALLED = {"list", "create", "get", "update", "delete", "members", "add_member", "remove_member", "timeline"}


def test_all_methods_are_called() -> None:
    """A new version of the SDK with further methods for projects makes this test fail."""
    methods = {name for name, _ in inspect.getmembers(ProjectsResource, inspect.isfunction) if name[0] != "_"}
    assert methods == CALLED


def test_project(sdk: Any) -> None:
    """Create, read, list, share, update and delete a project."""
    created = sdk.projects.create("SDK", "Made by the SDK")
    project_id = created["id"]
    assert (created["name"], created["description"]) == ("SDK", "Made by the SDK")
    assert sdk.projects.get(project_id)["role"] == "owner"

    listed = sdk.projects.list(limit=1, search="SDK")
    assert (listed["total"], [project["id"] for project in listed["items"]]) == (1, [project_id])
    assert sdk.projects.list(offset=listed["total"], search="SDK")["items"] == []

    assert sdk.projects.update(project_id, description="Changed")["name"] == "SDK"
    assert sdk.projects.update(project_id, name="SDK 2")["description"] == "Changed"

    added = sdk.projects.add_member(project_id, "bob@example.com")["member"]
    assert added["role"] == "editor"
    assert sdk.projects.add_member(project_id, "bob@example.com", role="admin")["member"]["role"] == "admin"
    members = sdk.projects.members(project_id)
    assert (members["total"], members["limit"], members["offset"]) == (2, 50, 0)
    assert [member["email"] for member in members["items"]] == ["alice@example.com", "bob@example.com"]
    sdk.projects.remove_member(project_id, added["id"])
    assert sdk.projects.members(project_id)["total"] == 1

    assert sdk.projects.timeline(project_id)["events"] == []
    sdk.projects.delete(project_id)
    with pytest.raises(coreplexml.NotFoundError):
        sdk.projects.get(project_id)


def test_timeline_of_demo(sdk: Any) -> None:
    """The timeline has every type of the demo's resources."""
    (project,) = sdk.projects.list(search="Card fraud")["items"]
    types = {event["type"] for event in sdk.projects.timeline(project["id"])["events"]}
    assert {"dataset", "experiment", "model", "report"} <= types


def test_errors(sdk: Any, stack: RunningStack) -> None:
    """Errors arrive as the SDK's own classes, with the API's explanation."""
    with pytest.raises(coreplexml.ValidationError) as invalid:
        sdk.projects.create("   ")
    assert "name" in str(invalid.value.detail) + str(invalid.value)
    with pytest.raises(coreplexml.NotFoundError):
        sdk.projects.get(str(uuid.uuid4()))
    with pytest.raises(coreplexml.AuthenticationError):
        coreplexml.CorePlexMLClient(stack.description["base_url"], "wrong").projects.list()
