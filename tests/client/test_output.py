"""Tests of the command's output: tables on terminals of any width, lines in pipes, and names of every kind."""

import uuid

import pytest
from rich.progress import ProgressColumn
from rich.text import Text

from projects_client.cli import terminal
from tests.client.conftest import build_project
from tests.support.cli_process import ProjectsCommand
from tests.support.fake_api import PROJECT_ID, FakeService


def list_on_terminal(projects: ProjectsCommand, columns: int, *arguments: str, **environment: str) -> str:
    return projects.run_on_terminal(*(arguments or ("list",)), COLUMNS=str(columns), **environment).out


@pytest.mark.parametrize(("columns", "has_whole_ids"), [(14, False), (40, False), (80, False), (130, True)])
def test_table_width(service: FakeService, projects: ProjectsCommand, columns: int, has_whole_ids: bool) -> None:
    """A table fits the width of the terminal, and always shows enough of each id to tell the projects apart."""
    ids = [str(uuid.UUID(int=number << 96)) for number in (1, 2, 3)]
    service.projects = [build_project("Same name of a project in a few words", 1) | {"id": text} for text in ids]
    table = list_on_terminal(projects, columns)
    assert max(map(len, table.splitlines())) <= columns
    shown = [text if has_whole_ids else text[:8] for text in ids]
    assert all(table.count(text) == 1 for text in shown)
    if columns == 130:
        assert table.count("owner") == table.count("2026-02-10 09:00Z") == 3


@pytest.mark.parametrize("columns", ["0", "1", "-5", "many"])
def test_impossible_width(service: FakeService, projects: ProjectsCommand, columns: str) -> None:
    """A terminal that claims to have no columns shows a table and notes nevertheless."""
    service.projects = [build_project("Churn", 1)]
    result = projects.run_on_terminal("list", COLUMNS=columns)
    assert "Churn" in result.out
    service.projects = []
    assert "There are no entries." in projects.run_on_terminal("list", COLUMNS=columns).err
    assert "--limit" in projects("list", "--limit", "0", COLUMNS=columns).err
    assert "members" in projects("--help", COLUMNS=columns).out


def test_short_ids_are_unique(service: FakeService, projects: ProjectsCommand) -> None:
    """Ids that start alike are shown as far as the first difference."""
    service.projects = [build_project("Same", number) for number in (17, 18)]
    table = list_on_terminal(projects, 60)
    assert "00000000-0000-0000-0000-000000000011" in table
    assert "00000000-0000-0000-0000-000000000012" in table


def test_short_id_is_accepted(service: FakeService, projects: ProjectsCommand) -> None:
    """The start of an id, as a narrow terminal shows it, finds the project if it is unique."""
    service.projects = [build_project("Same", 1) | {"id": f"{digit * 8}-0000-0000-0000-000000000000"} for digit in "ab"]
    assert projects("members", "list", "bbbbbbbb").code == 0
    assert service.requests[-1].path.startswith("/api/projects/bbbbbbbb-0000")
    assert projects("members", "list", "bbbb").code == 5


def test_empty_table(service: FakeService, projects: ProjectsCommand) -> None:
    service.projects = []
    assert "There are no entries." in projects.run_on_terminal("list").err


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CLICOLOR_FORCE"])
@pytest.mark.parametrize("command", [("list",), ("show", PROJECT_ID)])
def test_forced_colors_in_pipe(projects: ProjectsCommand, variable: str, command: tuple[str, ...]) -> None:
    """No variable about colours turns the lines of a pipe into a table, or the notes into escape sequences."""
    plain, forced = projects(*command), projects(*command, **{variable: "1"})
    assert (forced.code, forced.out, forced.err) == (0, plain.out, plain.err)
    assert "\t" in forced.out
    assert "\x1b" not in forced.out + forced.err


@pytest.mark.parametrize("encoding", ["iso-8859-1", "ascii", "cp1252"])
def test_encoding_of_terminal(service: FakeService, projects: ProjectsCommand, encoding: str) -> None:
    """Characters that the terminal's encoding does not have are replaced, and nothing else is lost."""
    service.projects = [build_project("Rocket 🚀 ship", 1), build_project("Second", 2)]
    result = projects.run_on_terminal("list", PYTHONIOENCODING=encoding)
    assert result.code == 0
    assert "Rocket ? ship" in result.out
    assert "Second" in result.out


def test_json_on_terminal(service: FakeService, projects: ProjectsCommand) -> None:
    """JSON loses no character to the terminal's encoding."""
    service.projects = [build_project("Rocket 🚀 ship", 1)]
    result = projects.run_on_terminal("list", "--json", PYTHONIOENCODING="iso-8859-1")
    assert result.json["items"][0]["name"] == "Rocket 🚀 ship"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\u3000b\u00a0c", "a\u3000b\u00a0c"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("soft\u00adhyphen \ue000 क्\u200dष", "soft\u00adhyphen \ue000 क्\u200dष"),
        ("\x1b[31m[bold]red[/bold]\tand\nmore", "�[31m[bold]red[/bold]�and�more"),
        ("a\u202egpj.exe\u2066b", "a�gpj.exe�b"),
        ("two\u2028lines\x85here\x9b1m", "two�lines�here�1m"),
    ],
)
def test_names(service: FakeService, projects: ProjectsCommand, name: str, shown: str) -> None:
    """Only control characters and bidirectional overrides are replaced, and a shown name finds the project."""
    service.projects = [build_project(name, 1)]
    (line,) = projects("list").out.removesuffix("\n").split("\n")
    assert line.split("\t")[0] == shown
    if shown == name:
        assert projects("members", "list", shown).code == 0


def test_help(projects: ProjectsCommand) -> None:
    """``-h`` is short for ``--help``, for every command."""
    for arguments in ([], ["export"], ["members"], ["keys", "create"]):
        result = projects(*arguments, "-h")
        assert (result.code, "Usage: " in result.out) == (0, True)


def test_units_of_progress() -> None:
    """Sizes and speeds of a progress bar have the same units."""
    progress = terminal.create_progress()
    progress.add_task("downloading", total=200 << 20, completed=50 << 20, files="1/2 files")
    (task,) = progress.tasks
    task.finished_speed = 100 << 20
    columns = [column for column in progress.columns if isinstance(column, ProgressColumn)]
    texts = [text.plain for column in columns if isinstance(text := column.render(task), Text)]
    assert texts == ["downloading ", "50.0/200.0 MiB", "100.0 MiB/s", "--:--", "1/2 files"]
