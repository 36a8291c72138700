"""Tests of the command's requests: errors end with a sentence and an exit code, and failures are retried."""

import os
import pty
import subprocess
import time
import uuid
from typing import Any

import pytest

from tests.client.conftest import KEY, build_project
from tests.support.cli_process import PROGRAM, ProjectsCommand
from tests.support.fake_api import PROJECT, PROJECT_ID, ApiResponse, FakeService


@pytest.mark.parametrize(
    ("response", "code", "message"),
    [
        ((401, {"message": "Unauthorized"}), 3, "PROJECTS_API_KEY"),
        ((403, {"message": "Forbidden"}), 3, "PROJECTS_API_KEY"),
        ((403, {"detail": "Your key lacks the scope."}), 4, "Your key lacks the scope."),
        ((404, {"detail": "There is no such project."}), 5, "There is no such project."),
        ((404, {"message": "Not Found"}), 2, "not a response of the Projects API"),
        ((409, {"detail": "The owner can't leave."}), 6, "The owner can't leave."),
        ((422, {"detail": [{"loc": ["body", "name"], "msg": "Too long", "type": "t"}]}), 2, "name: Too long."),
        ((400, {"detail": "The body is not JSON."}), 2, "The body is not JSON."),
        ((418, b"<html>"), 2, "not a response of the Projects API"),
        ((200, b"<html>"), 2, "not a response of the Projects API"),
    ],
)
def test_error_response(
    service: FakeService, projects: ProjectsCommand, response: tuple[int, Any], code: int, message: str
) -> None:
    """An error response ends with one line on stderr, an exit code, and no retry."""
    service.responses.append((*response, {}))
    result = projects("show", PROJECT_ID, "--json")
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert [request.path for request in service.requests][:2] in (
        [f"/api/projects/{PROJECT_ID}"],
        [f"/api/projects/{PROJECT_ID}", "/api/projects"],  # no project has the id: is it a name?
    )


def test_retry_after_503(service: FakeService, projects: ProjectsCommand, patient_projects: ProjectsCommand) -> None:
    """A request is retried after the seconds of ``Retry-After``, and fails when the service stays down."""
    down = (503, {"detail": "Repeat the request in a moment."}, {"Retry-After": "1"})
    service.responses.append(down)
    start = time.monotonic()
    assert patient_projects("show", PROJECT_ID).code == 0
    assert time.monotonic() - start >= 1
    service.responses.extend([down] * 5)
    result = projects("show", PROJECT_ID)
    assert result.code == 7
    assert "Repeat the request in a moment." in result.err


def test_invalid_retry_after(service: FakeService, projects: ProjectsCommand) -> None:
    """A ``Retry-After`` that is neither seconds nor a date is ignored."""
    service.responses.append((503, {"detail": "Repeat the request in a moment."}, {"Retry-After": "soon"}))
    assert projects("show", PROJECT_ID).code == 0


def test_https_url_of_http_api(service: FakeService, projects: ProjectsCommand) -> None:
    """An https URL of an API without TLS fails without retries."""
    result = projects("list", PROJECTS_API_URL=service.url.replace("http:", "https:"))
    assert result.code == 2
    assert "use http://" in result.err
    assert service.connection_count == 1


@pytest.mark.parametrize("url", ["127.0.0.1", "http:/127.0.0.1", "http://127.0.0.1:99999", "http://[", "ftp://host"])
def test_invalid_url(projects: ProjectsCommand, url: str) -> None:
    result = projects("list", PROJECTS_API_URL=url)
    assert (result.code, result.err) == (
        2, f"'{url}' is not a valid API URL. Use https://host or http://host:port.\n"
    )  # fmt: skip


def test_connection_refused(projects: ProjectsCommand) -> None:
    result = projects("list", PROJECTS_API_URL="http://127.0.0.1:9")
    assert result.code == 7
    assert "connection refused" in result.err


def test_create_is_idempotent(service: FakeService, projects: ProjectsCommand) -> None:
    """A retried ``create`` sends the same Idempotency-Key, and the user may choose the key."""
    service.responses.append((502, b"", {}))
    assert projects("create", "Churn", "-d", "Who leaves?").code == 0
    first, second = service.requests
    assert first.body == second.body == {"name": "Churn", "description": "Who leaves?"}
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] != ""
    assert projects("create", "Churn", "--idempotency-key", "mine").code == 0
    assert service.requests[-1].headers["Idempotency-Key"] == "mine"


def test_delete_with_lost_response(service: FakeService, projects: ProjectsCommand) -> None:
    """A 404 means success for a retried DELETE, and an error for the first attempt."""
    not_found: ApiResponse = (404, {"detail": "There is no such project."}, {})
    service.responses.extend([(200, {"project": PROJECT}, {}), (504, b"", {}), not_found])
    assert projects("delete", PROJECT_ID, "--yes").code == 0
    service.responses.extend([(200, {"project": PROJECT}, {}), not_found])
    assert projects("delete", PROJECT_ID, "--yes").code == 5


def test_key_is_never_printed(service: FakeService, projects: ProjectsCommand) -> None:
    """Neither errors, tracebacks nor the help contain the API key."""
    service.responses.append((200, {"not": "a project"}, {}))
    crash = projects.run("show", PROJECT_ID)
    assert crash.code == 1
    results = [crash, projects("--help"), projects("list"), projects("list", PROJECTS_API_URL="nonsense")]
    assert all("secret" not in result.out + result.err for result in results)
    assert service.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def test_malformed_key(service: FakeService, projects: ProjectsCommand) -> None:
    """A line end after the key is stripped; a key with other invalid characters is rejected and not printed."""
    assert projects("list", PROJECTS_API_KEY=f"{KEY}\r\n", PROJECTS_API_URL=f"{service.url}\r").code == 0
    assert service.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    for key in (f"{KEY}\r{KEY}", f"{KEY}한국"):
        result = projects("list", PROJECTS_API_KEY=key)
        assert (result.code, "secret" in result.err, len(result.err.splitlines())) == (3, False, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("exports", "show", PROJECT_ID, "../../x"),
        ("exports", "show", PROJECT_ID, ""),
        ("export", PROJECT_ID, "--export", ""),
        ("create", "n", "--idempotency-key", ""),
        ("create", "n", "--idempotency-key", " a"),
        ("create", "n", "--idempotency-key", "é"),
        ("show", "bad\udcff"),
        ("list", "--search", "bad\udcff"),
    ],
)
def test_invalid_argument(service: FakeService, projects: ProjectsCommand, arguments: tuple[str, ...]) -> None:
    """An invalid argument ends with one line on stderr, and never with a write."""
    result = projects(*arguments)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert all(request.method == "GET" for request in service.requests)


def test_closed_stdout(projects: ProjectsCommand) -> None:
    command = f"{PROGRAM} list >&-"
    result = subprocess.run(["bash", "-c", command], env=os.environ | projects.environment, capture_output=True,
                           check=False, timeout=60)  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")


def test_netrc_is_ignored(service: FakeService, projects: ProjectsCommand) -> None:
    """Credentials in ``.netrc`` replace neither the API key nor the signature of a download URL."""
    (projects.folder / ".netrc").write_text("machine 127.0.0.1 login somebody password something\n")
    assert projects("export", PROJECT_ID).code == 0
    assert {request.headers["Authorization"] for request in service.requests} == {f"Bearer {KEY}"}
    assert [request.headers.get("Authorization") for request in service.downloads] == [None]


def test_missing_settings(projects: ProjectsCommand) -> None:
    """A missing URL or key, an invalid option, and an update without changes end with their exit codes."""
    assert projects("list", PROJECTS_API_URL="").code == 2
    assert "PROJECTS_API_URL" in projects("list", PROJECTS_API_URL="").err
    assert projects("list", PROJECTS_API_KEY="").code == 3
    assert projects("list", "--sort", "color").code == 2
    assert projects("update", PROJECT_ID).code == 2


def test_project_by_name(service: FakeService, projects: ProjectsCommand) -> None:
    """An exact name wins over one in another case; an ambiguous or unknown name ends with suggestions."""
    service.projects = [
        build_project("Churn", 1),
        build_project("churn", 2),
        build_project("Churn 2026", 3),
        build_project("Twin", 4),
        build_project("Twin", 5),
    ]
    projects("members", "remove", "Churn", PROJECT_ID)
    assert service.requests[-1].path == f"/api/projects/{build_project('', 1)['id']}/members/{PROJECT_ID}"
    projects("members", "remove", "churn 2026", PROJECT_ID)
    assert service.requests[-1].path == f"/api/projects/{build_project('', 3)['id']}/members/{PROJECT_ID}"
    ambiguous = projects("show", "Twin")
    assert ambiguous.code == 6
    assert build_project("", 4)["id"] in ambiguous.err
    assert build_project("", 5)["id"] in ambiguous.err
    unknown = projects("show", "Chur")
    assert unknown.code == 5
    assert "Did you mean 'Churn'" in unknown.err


@pytest.mark.parametrize("name", ["0123456789abcdef0123456789abcdef", str(uuid.UUID(int=99)), "deadbeef"])
def test_name_that_looks_like_an_id(service: FakeService, projects: ProjectsCommand, name: str) -> None:
    """A text that is no project's id is looked up as a name."""
    service.projects = [build_project(name, 1), build_project("Other", 0xDEADBEEF << 96)]
    assert projects("show", name, "--json").json["project"]["id"] == build_project("", 1)["id"]
    assert projects("members", "list", name).code == 0
    assert service.requests[-1].path.startswith(f"/api/projects/{build_project('', 1)['id']}/")


def test_id_that_is_also_a_name(service: FakeService, projects: ProjectsCommand) -> None:
    """An id wins over a name."""
    service.projects = [build_project("Meant", 1), build_project(str(uuid.UUID(int=1)), 2)]
    assert projects("show", uuid.UUID(int=1).hex, "--json").json["project"]["name"] == "Meant"


def test_name_in_another_form(service: FakeService, projects: ProjectsCommand) -> None:
    """A name in NFD, as macOS types it, finds the project, whose name is in NFC."""
    service.projects = [build_project("Café", 1), build_project("Café crème", 2)]
    assert projects("show", "Cafe\u0301 ", "--json").json["project"]["name"] == "Café"


def test_list_all_projects(service: FakeService, projects: ProjectsCommand) -> None:
    """``--all`` reads every page; ``--limit`` and ``--offset`` select a range."""
    service.projects = [build_project(f"Project {number}", number) for number in range(501)]
    assert len(projects("list", "--all", "--json").json["items"]) == 501
    page = projects("list", "--limit", "2", "--offset", "1")
    assert [line.split("\t")[0] for line in page.out.splitlines()] == ["Project 1", "Project 2"]
    assert "2 of 501" in page.err
    assert "There are only 501 projects. Use a smaller --offset." in projects("list", "--offset", "501").err


def test_timeline_pages(service: FakeService, projects: ProjectsCommand) -> None:
    """The timeline follows the cursors to the end, or to ``--limit``."""

    def create_page(first: int, cursor: str | None) -> ApiResponse:
        events = [
            {"id": str(number), "type": "dataset", "name": f"d{number}", "timestamp": "2026-02-10T09:00:00Z", "rows": 7}
            for number in range(first, first + 2)
        ]
        return 200, {"project_id": PROJECT_ID, "events": events, "next_cursor": cursor}, {}

    project: ApiResponse = (200, {"project": PROJECT}, {})
    service.responses.extend([project, create_page(0, "c"), create_page(2, None)])
    result = projects("timeline", PROJECT_ID, "--type", "dataset", "--order", "desc")
    assert [line.split("\t")[2:4] for line in result.out.splitlines()] == [[f"d{n}", "rows=7"] for n in range(4)]
    assert service.requests[2].query == {"limit": "1000", "type": "dataset", "order": "desc", "cursor": "c"}
    service.responses.extend([project, create_page(0, "c")])
    limited = projects("timeline", PROJECT_ID, "--limit", "2", "--json").json
    assert (len(limited["events"]), limited["next_cursor"]) == (2, "c")
    assert service.requests[-1].query["limit"] == "2"
    service.responses.extend([project, create_page(0, "c")])
    assert "There are more entries" in projects("timeline", PROJECT_ID, "--limit", "2").err


def test_delete_needs_confirmation(service: FakeService, projects: ProjectsCommand) -> None:
    """Without a terminal, ``delete`` needs ``--yes``; on a terminal, the command asks for confirmation."""
    result = projects("delete", PROJECT_ID)
    assert result.code == 2
    assert "--yes" in result.err
    controller, terminal = pty.openpty()
    environment = {**os.environ, **projects.environment}
    process = subprocess.Popen([PROGRAM, "delete", PROJECT_ID], env=environment, stdin=terminal, stderr=subprocess.PIPE)
    os.write(controller, b"n\n")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"Card fraud" in err
    assert {request.method for request in service.requests} == {"GET"}
