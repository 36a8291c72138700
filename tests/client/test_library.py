"""Tests of the library: typed objects, lists by pages, one tree of errors, and HTML for notebooks."""

import re
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest

import projects_client
from projects_client import Client, ProjectsClientError, Step
from tests.client.conftest import KEY, build_project
from tests.support.cli_process import ProjectsCommand
from tests.support.fake_api import PROJECT, PROJECT_ID, FakeService

RESOURCE = {"id": PROJECT_ID, "type": "dataset", "name": "a.csv", "timestamp": "2026-02-10T09:00:00Z",
            "fields": {"rows": 7}, "origin": None, "artifact": {"file_name": "a.csv", "size_bytes": 3,
            "content_type": "text/csv"}}  # fmt: skip


@pytest.fixture
def client(service: FakeService) -> Client:
    return Client(service.url, KEY)


def test_projects(service: FakeService, client: Client) -> None:
    """A list is read page by page, as far as it is used."""
    service.projects = [build_project(f"Project {number}", number) for number in range(501)]
    assert next(iter(client.projects.list())).name == "Project 0"
    assert len(service.requests) == 1
    assert len(list(client.projects.list())) == 501
    project = client.projects.get("Project 7")
    assert project.created_at == datetime(2026, 2, 10, 9, tzinfo=timezone.utc)
    assert (project.role, project.dataset_count, project.status) == ("owner", 1, "active")


def test_unknown_and_missing_fields(service: FakeService, client: Client) -> None:
    """Fields of a newer API are kept in ``raw``, and missing ones do not break an older client."""
    service.resources = {PROJECT_ID: RESOURCE | {"new": [1]}}
    project = client.projects.get(PROJECT_ID)
    (resource,) = project.resources()
    assert resource.raw["new"] == [1]
    assert (resource.fields, resource.artifact and resource.artifact.size_bytes) == ({"rows": 7}, 3)
    service.responses.append((200, {"export": {"id": PROJECT_ID}}, {}))
    assert project.get_export(PROJECT_ID).progress.bytes_done == 0


def test_writes(service: FakeService, client: Client) -> None:
    """Every write is one request with the contract's body, and creations carry an Idempotency-Key."""
    project = client.projects.create("Churn", "Who leaves?")
    service.responses.append((201, {"member": {"user_id": "u", "email": "bob@example.com", "role": "viewer"}}, {}))
    assert project.add_member("bob@example.com", "viewer").role == "viewer"
    project.update(description="New")
    assert service.requests[-1].body == {"name": "Card fraud", "description": "New"}
    project.transfer_ownership("bob@example.com")
    assert (service.requests[-1].path, service.requests[-1].body) == (
        f"/api/projects/{PROJECT_ID}/owner", {"email": "bob@example.com"},
    )  # fmt: skip
    assert project.role == "admin"
    resource = project.create_resource("report", "Summary", {"pages": 3})
    project.delete_resource(resource.id)
    project.start_export(fresh=True)
    project.cancel_export(PROJECT_ID)
    project.leave()
    assert service.requests[-1].path.endswith("/members/00000000-0000-0000-0000-000000000007")
    project.delete()
    creations = [each for each in service.requests if each.method == "POST"]
    assert all(each.headers.get("Idempotency-Key") for each in creations)


def test_members_and_activity(service: FakeService, client: Client, projects: ProjectsCommand) -> None:
    service.members = [{"id": PROJECT_ID, "user_id": PROJECT_ID, "email": "οδος@example.com", "name": "O",
                        "role": "editor", "created_at": "2026-02-10T09:00:00Z"}]  # fmt: skip
    service.activity = [
        {"id": str(number), "at": "2026-02-10T09:00:00Z", "actor": {"user_id": PROJECT_ID, "name": "Bob"},
         "action": "member.role_changed", "object": {"type": "member", "id": PROJECT_ID, "name": "Ann"},
         "before": {"role": "viewer"}, "after": {"role": "editor"}}
        for number in range(120)
    ]  # fmt: skip
    project = client.projects.get(PROJECT_ID)
    project.remove_member(" ΟΔΟΣ@example.com")
    assert service.requests[-1].path.endswith(f"/members/{PROJECT_ID}")
    assert len(list(project.activity())) == 120
    assert len(list(project.activity(limit=3))) == 3
    line = projects("activity", PROJECT_ID, "--limit", "1").out.split("\t")
    assert line[1:4] == ["Bob", "member.role_changed", "Ann role=viewer→editor"]


def test_errors(service: FakeService, client: Client) -> None:
    """All errors have one base class, and say by their class, status and fields what is wrong."""
    names = [name for name in projects_client.__all__ if name.endswith("Error")]
    assert all(issubclass(getattr(projects_client, name), ProjectsClientError) for name in names)
    invalid = {"detail": [{"loc": ["body", "name"], "msg": "Too long", "type": "t"}]}
    for status, body, kind in (
        (401, {"message": "Unauthorized"}, projects_client.NotAuthenticatedError),
        (403, {"detail": "No."}, projects_client.ForbiddenError),
        (404, {"detail": "No."}, projects_client.NotFoundError),
        (409, {"detail": "No."}, projects_client.ConflictError),
        (422, invalid, projects_client.InvalidInputError),
    ):
        service.responses.append((status, body, {}))
        with pytest.raises(kind) as raised:
            client.me()
        assert (raised.value.status, raised.value.route) == (status, "GET /api/me")
    assert raised.value.fields == {"name": "Too long"}  # type: ignore[attr-defined]  # of this error only


def test_export(service: FakeService, client: Client, tmp_path: Path) -> None:
    """An export reports its steps and returns what it did."""
    steps: list[Step] = []
    result = client.projects.get(PROJECT_ID).export(tmp_path, progress=steps.append)
    assert result.path.read_bytes() == service.data
    assert next(step.stage for step in steps if step.stage != "exporting") == "downloading"
    assert (steps[-1].stage, steps[-1].done) == ("checking", len(service.data))


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        assert tag in {"div", "table", "thead", "tbody", "tr", "th", "td"}
        assert {name for name, _ in attrs} <= {"style", "scope", "class"}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_html(html: str) -> str:
    """Check that HTML is balanced and has no colours that a dark theme hides, and return its text."""
    checker = _Checker()
    checker.feed(html)
    assert checker.open == []
    assert not re.search(r"(?<!-)\b(?:color|background): (?!inherit|transparent)", html)
    return checker.text


def test_html(service: FakeService, client: Client) -> None:
    """Projects, lists and single objects show tables in a notebook, with every text escaped."""
    evil = "<script>alert(1)</script> & \"'\u202e"
    service.projects = [PROJECT | {"name": evil, "description": evil}]
    service.resources = {PROJECT_ID: RESOURCE | {"name": evil, "fields": {evil: evil}}}
    project = client.projects.get(PROJECT_ID)
    for shown in (project, client.projects.list(), project.resources(), project.resource(PROJECT_ID), project.members(),
                  project.exports(), client.me()):  # fmt: skip
        text = check_html(shown._repr_html_())
        assert "\u202e" not in text
    assert "<script>alert(1)</script>" in check_html(project._repr_html_())
    assert "<script" not in project._repr_html_() + client.projects.list()._repr_html_()
    export = project.get_export(service.export_id)
    assert export.download_url
    assert "signature" not in check_html(export._repr_html_())
    assert "email=alice@example.com" in check_html(client.me()._repr_html_())
    assert "There are no entries." in check_html(project.members()._repr_html_())
    service.projects = [build_project(f"Project {number}", number) for number in range(60)]
    assert "The first 50 entries" in check_html(client.projects.list()._repr_html_())


@pytest.mark.parametrize(
    ("arguments", "method", "path"),
    [
        (("transfer", PROJECT_ID, "bob@example.com", "--yes"), "PUT", "/owner"),
        (("exports", "cancel", PROJECT_ID, PROJECT_ID), "DELETE", f"/exports/{PROJECT_ID}"),
        (("resources", "show", PROJECT_ID, PROJECT_ID), "GET", f"/resources/{PROJECT_ID}"),
        (("resources", "delete", PROJECT_ID, "00000000", "--yes"), "DELETE", f"/resources/{PROJECT_ID}"),
        (("resources", "list", PROJECT_ID, "--type", "dataset"), "GET", "/resources"),
    ],
)
def test_commands(
    service: FakeService, projects: ProjectsCommand, arguments: tuple[str, ...], method: str, path: str
) -> None:
    service.resources = {PROJECT_ID: RESOURCE}
    result = projects(*arguments)
    assert result.code == 0, result.err
    assert (service.requests[-1].method, service.requests[-1].path) == (method, f"/api/projects/{PROJECT_ID}{path}")


def test_fresh_export(service: FakeService, projects: ProjectsCommand) -> None:
    assert projects("export", PROJECT_ID, "--fresh").code == 0
    assert next(each.body for each in service.requests if each.method == "POST") == {"fresh": True}
    assert projects("export", PROJECT_ID, "--fresh", "--export", PROJECT_ID).code == 2


def test_cancelled_export(service: FakeService, projects: ProjectsCommand) -> None:
    service.export = {"status": "cancelled"}
    result = projects("export", PROJECT_ID)
    assert (result.code, "cancelled" in result.err) == (8, True)
