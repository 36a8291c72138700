"""What the API refuses ends with a sentence and a code; what fails for a moment is tried again."""

import os
import pty
import re
import subprocess
import time
import uuid
from typing import Any

import pytest

from tests.client.conftest import KEY
from tests.support.cli_process import PROGRAM, Projects
from tests.support.fake_api import PROJECT, PROJECT_ID, Answer, Service


def named(name: str, number: int) -> dict[str, Any]:
    return PROJECT | {"name": name, "id": f"00000000-0000-0000-0000-{number:012}"}


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ((401, {"message": "Unauthorized"}), 3, "PROJECTS_API_KEY"),
        ((403, {"message": "Forbidden"}), 3, "PROJECTS_API_KEY"),
        ((403, {"detail": "Your key lacks the scope."}), 4, "Your key lacks the scope."),
        ((404, {"detail": "There is no such project."}), 5, "There is no such project."),
        ((404, {"message": "Not Found"}), 2, "not as the Projects API does"),
        ((409, {"detail": "The owner can't leave."}), 6, "The owner can't leave."),
        ((422, {"detail": [{"loc": ["body", "name"], "msg": "Too long", "type": "t"}]}), 2, "name: Too long."),
        ((400, {"detail": "The body is not JSON."}), 2, "The body is not JSON."),
        ((418, b"<html>"), 2, "not as the Projects API does"),
        ((200, b"<html>"), 2, "not as the Projects API does"),
    ],
)
def test_a_refusal_is_a_sentence_and_a_code(
    service: Service, projects: Projects, answer: tuple[int, Any], code: int, says: str
) -> None:
    service.answers.append((*answer, {}))
    ended = projects("show", PROJECT_ID, "--json")
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
    assert len(service.requests) == 1


def test_a_service_that_is_down_is_asked_again_when_it_says_so(service: Service, projects: Projects) -> None:
    down = (503, {"detail": "Repeat the request in a moment."}, {"Retry-After": "1"})
    service.answers.append(down)
    begun = time.monotonic()
    assert projects("show", PROJECT_ID).code == 0
    assert time.monotonic() - begun >= 1
    service.answers.extend([down] * 5)
    ended = projects("show", PROJECT_ID)
    assert ended.code == 7
    assert "Repeat the request in a moment." in ended.err


def test_a_retry_after_that_nobody_understands_is_passed_over(service: Service, projects: Projects) -> None:
    service.answers.append((503, {"detail": "Repeat the request in a moment."}, {"Retry-After": "soon"}))
    assert projects("show", PROJECT_ID).code == 0


def test_tls_where_there_is_none_is_told_at_once(service: Service, projects: Projects) -> None:
    begun = time.monotonic()
    ended = projects("list", PROJECTS_API_URL=service.url.replace("http:", "https:"))
    assert ended.code == 2
    assert "give http://" in ended.err
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("url", ["127.0.0.1", "http:/127.0.0.1", "http://127.0.0.1:99999", "http://[", "ftp://host"])
def test_what_is_no_url_is_told(projects: Projects, url: str) -> None:
    ended = projects("list", PROJECTS_API_URL=url)
    assert (ended.code, ended.err) == (
        2, f"'{url}' is not the URL of an API: give one as https://host or http://host:port.\n"
    )  # fmt: skip


def test_an_api_that_is_not_there_is_said_so(projects: Projects) -> None:
    ended = projects("list", PROJECTS_API_URL="http://127.0.0.1:9")
    assert ended.code == 7
    assert "connection refused" in ended.err


def test_a_repeated_create_makes_one_project(service: Service, projects: Projects) -> None:
    service.answers.append((502, b"", {}))
    assert projects("create", "Churn", "-d", "Who leaves?").code == 0
    first, second = service.requests
    assert first.body == second.body == {"name": "Churn", "description": "Who leaves?"}
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] != ""
    assert projects("create", "Churn", "--idempotency-key", "mine").code == 0
    assert service.requests[-1].headers["Idempotency-Key"] == "mine"


def test_a_delete_whose_answer_was_lost_is_done(service: Service, projects: Projects) -> None:
    gone: Answer = (404, {"detail": "There is no such project."}, {})
    service.answers.extend([(200, {"project": PROJECT}, {}), (504, b"", {}), gone])
    assert projects("delete", PROJECT_ID, "--yes").code == 0
    service.answers.extend([(200, {"project": PROJECT}, {}), gone])
    assert projects("delete", PROJECT_ID, "--yes").code == 5


def test_the_key_is_never_printed(service: Service, projects: Projects) -> None:
    service.answers.append((200, {"not": "a project"}, {}))
    crashed = projects("show", PROJECT_ID)
    assert crashed.code == 1
    printed = [crashed, projects("--help"), projects("list"), projects("list", PROJECTS_API_URL="nonsense")]
    assert all("secret" not in ended.out + ended.err for ended in printed)
    assert service.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def test_a_key_is_taken_without_the_line_end_behind_it_and_else_refused_unprinted(
    service: Service, projects: Projects
) -> None:
    assert projects("list", PROJECTS_API_KEY=f"{KEY}\r\n", PROJECTS_API_URL=f"{service.url}\r").code == 0
    assert service.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    for key in (f"{KEY}\r{KEY}", f"{KEY}한국"):
        ended = projects("list", PROJECTS_API_KEY=key)
        assert (ended.code, "secret" in ended.err, len(ended.err.splitlines())) == (3, False, 1)


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
def test_an_argument_that_is_none_is_refused_in_a_sentence(
    service: Service, projects: Projects, arguments: tuple[str, ...]
) -> None:
    ended = projects(*arguments)
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert all(request.method == "GET" for request in service.requests)


def test_without_a_stdout_nothing_breaks(projects: Projects) -> None:
    command = f"{PROGRAM} list >&-"
    ended = subprocess.run(["bash", "-c", command], env=os.environ | projects.environment, capture_output=True,
                           check=False, timeout=60)  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_netrc_does_not_take_the_keys_place(service: Service, projects: Projects) -> None:
    (projects.folder / ".netrc").write_text("machine 127.0.0.1 login somebody password something\n")
    assert projects("export", PROJECT_ID).code == 0
    assert {request.headers["Authorization"] for request in service.requests} == {f"Bearer {KEY}"}
    assert [request.headers.get("Authorization") for request in service.downloads] == [None]


def test_what_is_missing_is_asked_for(projects: Projects) -> None:
    assert projects("list", PROJECTS_API_URL="").code == 2
    assert "PROJECTS_API_URL" in projects("list", PROJECTS_API_URL="").err
    assert projects("list", PROJECTS_API_KEY="").code == 3
    assert projects("list", "--sort", "color").code == 2
    assert projects("update", PROJECT_ID).code == 2


def test_a_project_is_found_by_its_name(service: Service, projects: Projects) -> None:
    service.projects = [
        named("Churn", 1),
        named("churn", 2),
        named("Churn 2026", 3),
        named("Twin", 4),
        named("Twin", 5),
    ]
    projects("members", "remove", "Churn", PROJECT_ID)
    assert service.requests[-1].path == f"/api/projects/{named('', 1)['id']}/members/{PROJECT_ID}"
    projects("members", "remove", "churn 2026", PROJECT_ID)
    assert service.requests[-1].path == f"/api/projects/{named('', 3)['id']}/members/{PROJECT_ID}"
    twins = projects("show", "Twin")
    assert twins.code == 6
    assert named("", 4)["id"] in twins.err
    assert named("", 5)["id"] in twins.err
    unknown = projects("show", "Chur")
    assert unknown.code == 5
    assert "Did you mean 'Churn'" in unknown.err


def test_a_list_is_read_to_its_end(service: Service, projects: Projects) -> None:
    service.projects = [named(f"Project {number}", number) for number in range(501)]
    assert len(projects("list", "--all", "--json").json["items"]) == 501
    some = projects("list", "--limit", "2", "--offset", "1")
    assert [line.split("\t")[0] for line in some.out.splitlines()] == ["Project 1", "Project 2"]
    assert "2 of 501" in some.err
    assert "There are 501: give a smaller --offset." in projects("list", "--offset", "501").err


def test_a_timeline_is_read_to_its_end_or_to_the_limit(service: Service, projects: Projects) -> None:
    def page(first: int, cursor: str | None) -> Answer:
        events = [
            {"id": str(number), "type": "dataset", "name": f"d{number}", "timestamp": "2026-02-10T09:00:00Z", "rows": 7}
            for number in range(first, first + 2)
        ]
        return 200, {"project_id": PROJECT_ID, "events": events, "next_cursor": cursor}, {}

    service.answers.extend([page(0, "c"), page(2, None)])
    ended = projects("timeline", PROJECT_ID, "--type", "dataset", "--order", "desc")
    assert [line.split("\t")[2:4] for line in ended.out.splitlines()] == [[f"d{n}", "rows=7"] for n in range(4)]
    assert service.requests[1].query == {"limit": "1000", "type": "dataset", "order": "desc", "cursor": "c"}
    service.answers.append(page(0, "c"))
    some = projects("timeline", PROJECT_ID, "--limit", "2", "--json").json
    assert (len(some["events"]), some["next_cursor"]) == (2, "c")
    assert service.requests[-1].query["limit"] == "2"
    service.answers.append(page(0, "c"))
    assert "More follow" in projects("timeline", PROJECT_ID, "--limit", "2").err


TERMINAL = {"TTY_COMPATIBLE": "1", "NO_COLOR": "1"}


def on_a_terminal(projects: Projects, columns: int) -> str:
    """The list of projects as a terminal shows it."""
    return re.sub("\x1b\\[[0-9;]*m", "", projects("list", **TERMINAL, COLUMNS=str(columns)).out)


def test_a_narrow_terminal_is_shown_the_names(service: Service, projects: Projects) -> None:
    service.projects = [named("Churn", 1)]
    shown = on_a_terminal(projects, 40)
    assert "Churn" in shown
    assert max(map(len, shown.splitlines())) <= 40


@pytest.mark.parametrize(("columns", "has_ids"), [(80, False), (120, True)])
def test_a_table_fits_its_terminal(service: Service, projects: Projects, columns: int, has_ids: bool) -> None:
    service.projects = [named("What a project is called that is not called in few words", number) for number in (1, 2)]
    shown = on_a_terminal(projects, columns)
    assert max(map(len, shown.splitlines())) <= columns
    assert shown.count("owner") == shown.count("2026-02-10 09:00Z") == 2
    assert (str(uuid.UUID(int=2)) in shown) == has_ids
    service.projects = []
    assert "There are none." in projects("list", **TERMINAL).err


def test_a_name_can_not_steer_the_terminal(service: Service, projects: Projects) -> None:
    service.projects = [named("\x1b[31m[bold]red[/bold]\tand\nmore", 1)]
    (line,) = projects("list").out.splitlines()
    assert line.split("\t")[0] == "�[31m[bold]red[/bold]�and�more"


def test_nothing_is_deleted_without_a_yes(service: Service, projects: Projects) -> None:
    ended = projects("delete", PROJECT_ID)
    assert ended.code == 2
    assert "--yes" in ended.err
    ours, theirs = pty.openpty()
    environment = {**os.environ, **projects.environment}
    asked = subprocess.Popen([PROGRAM, "delete", PROJECT_ID], env=environment, stdin=theirs, stderr=subprocess.PIPE)
    os.write(ours, b"n\n")
    _, err = asked.communicate(timeout=20)
    assert asked.returncode == 1
    assert b"Card fraud" in err
    assert {request.method for request in service.requests} == {"GET"}
