"""Tests of what people type in a notebook: lists, tables, files by name, mistakes, and the words of errors."""

import copy
import pickle
import re
import sys
import typing
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields
from datetime import date, datetime, timezone
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import projects_client
from projects_client import (
    Client,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    ProgressBar,
    ProjectsClientError,
    Step,
    progress_bar,
    records,
)
from projects_client.cli.command_hints import COMMANDS
from projects_client.listing import Listing
from tests.client.conftest import KEY, build_project
from tests.support.cli_process import ProjectsCommand
from tests.support.fake_api import PROJECT, PROJECT_ID, ApiResponse, FakeService, build_archive

LIBRARY = Path(projects_client.__file__).parent
EVENT = {"id": PROJECT_ID, "type": "dataset", "name": "a.csv", "timestamp": "2026-02-10T09:00:00Z", "rows": 7}
NINE = datetime(2026, 2, 10, 9, tzinfo=timezone.utc)


@pytest.fixture
def client(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr("time.sleep", lambda _: None)
    return Client(service.url, KEY)


@pytest.fixture
def pages(service: FakeService, client: Client) -> "Listing[projects_client.Project]":
    """Return a list of 1,001 projects in three pages of 500."""
    service.projects = [build_project(f"Project {number}", number) for number in range(1001)]
    return client.projects.list()


@pytest.mark.parametrize(
    ("expression", "value", "request_count"),
    [
        ("pages[0].name", "Project 0", 1),
        ("pages[500].name", "Project 500", 2),
        ("pages[-1].name", "Project 1000", 3),
        ("len(pages)", 1001, 3),
        ("len(list(pages))", 1001, 3),
        ("[each.name for each in pages[:2]]", ["Project 0", "Project 1"], 1),
        ("len(pages[499:501])", 2, 2),
        ("len(pages[-2:])", 2, 3),
        ("pages[::-500][0].name", "Project 1000", 3),
        ("len(pages[:0])", 0, 0),
        ("bool(pages)", True, 1),
        ("pages[7] in pages", True, 1),
        ("next(reversed(pages)).name", "Project 1000", 3),
        ("[each.name for each, _ in zip(pages, range(2))]", ["Project 0", "Project 1"], 1),
    ],
)
def test_list(pages: Sequence[Any], service: FakeService, expression: str, value: object, request_count: int) -> None:
    """A list does what a list of Python does, with no more pages than it needs, and reads none of them twice."""
    for _ in range(2):
        assert eval(expression, {"pages": pages}) == value
        assert len(service.requests) == request_count


def test_list_ends(pages: Sequence[Any], service: FakeService) -> None:
    with pytest.raises(IndexError, match="The list has 1001 entries, and none at 1001"):
        pages[1001]
    with pytest.raises(TypeError):
        pages["name"]  # type: ignore[call-overload]
    service.projects = []
    assert not Client(service.url, KEY).projects.list(search="nothing")


def test_list_after_failure(pages: Sequence[Any], service: FakeService) -> None:
    """A list whose second page failed is read again, and not taken for a shorter one."""
    assert pages[0].name == "Project 0"
    service.responses.extend([(403, {"detail": "Not now."}, {})])
    with pytest.raises(projects_client.ForbiddenError):
        len(pages)
    assert len(pages) == len({each.id for each in pages}) == 1001


def test_list_in_threads_and_processes(pages: Sequence[Any], service: FakeService) -> None:
    """Threads share what was read; a copy and a pickle read the list themselves."""
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: len([each.name for each in pages]), range(16))) == {1001}
    assert len(service.requests) == 3
    copies = [pickle.loads(pickle.dumps(pages)), copy.deepcopy(pages)]
    assert [each[500].name for each in copies] == ["Project 500"] * 2
    assert len(pickle.loads(pickle.dumps(pages[:2]))) == 2


def test_tables(service: FakeService, client: Client) -> None:
    """Rows have the API's names and times that are times; neither the JSON nor a URL is a column of its own."""
    service.responses.extend([(200, {"project": PROJECT}, {}), (200, {"events": [EVENT], "next_cursor": None}, {})])
    events = client.projects.get(PROJECT_ID).timeline()
    assert events.to_dicts() == [EVENT | {"timestamp": NINE}]
    assert asdict(events[0]) == {
        "id": PROJECT_ID, "type": "dataset", "name": "a.csv", "timestamp": NINE, "fields": {"rows": 7},
    }  # fmt: skip
    assert events[0].raw == EVENT
    assert client.projects.list().to_dicts()[0]["created_at"] == NINE
    assert "<table" in events[:1]._repr_html_()
    project = client.projects.get(PROJECT_ID)
    assert project.exports()[0].download_url
    for table in (project.exports().to_dicts(), [asdict(each) for each in project.exports()]):
        assert table[0]["status"] == "ready"
        assert "signature" not in str(table)


@pytest.mark.parametrize("record", [each for each in vars(records).values() if hasattr(each, "from_json")])
def test_types_of_records(record: Any) -> None:
    """The library polars asks for the types of the fields when the program runs."""
    assert set(typing.get_type_hints(record)) == {each.name for each in fields(record)}
    assert record.from_json({}).raw == {}


def test_types_for_editors() -> None:
    """Type checkers use the types of the package, and every class that a method returns can be imported from it."""
    assert files("projects_client").joinpath("py.typed").is_file()
    returned = {"Listing", "Member", "Resource", "TimelineEvent", "ActivityEntry", "Export", "Import", "Downloaded"}
    assert returned <= set(projects_client.__all__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", projects_client.__version__)


class _Scalar:
    """Scalar of numpy or pandas."""

    def __init__(self, value: object) -> None:
        self._value = value

    def tolist(self) -> object:
        return self._value


def test_values_of_numpy(service: FakeService, client: Client, tmp_path: Path) -> None:
    """Fields may be what numpy, pandas and datetime return."""
    given: dict[Any, Any] = {
        "rows": _Scalar(3),
        "auc": _Scalar([0.5, _Scalar(1)]),
        "day": date(2026, 2, 10),
        "at": NINE,
        5: (None, True),
    }
    sent = {"rows": 3, "auc": [0.5, 1], "day": "2026-02-10", "at": "2026-02-10T09:00:00+00:00", "5": [None, True]}
    project = client.projects.get(PROJECT_ID)
    project.create_resource("experiment", "run", given)
    assert service.requests[-1].body["fields"] == sent
    (tmp_path / "a.csv").write_text("a\n")
    project.upload(tmp_path / "a.csv", fields=given)
    assert next(each for each in service.requests if (each.body or {}).get("file")).body["fields"] == sent


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), _Scalar(float("nan")), {1}, object(), b"x"])
def test_values_without_json(service: FakeService, client: Client, value: object) -> None:
    """A value that JSON does not have is named before anything is sent, instead of a lost connection."""
    project = client.projects.get(PROJECT_ID)
    request_count = len(service.requests)
    with pytest.raises(InvalidInputError, match=r"^fields\.params\[0\] is ") as raised:
        project.create_resource("experiment", "run", {"params": [value]})
    assert "_secret" not in str(raised.value)
    assert len(service.requests) == request_count


@pytest.fixture
def archived(service: FakeService, client: Client) -> projects_client.Project:
    service.data = build_archive({"datasets/1/a.csv": b"1\n", "datasets/2/b.csv": b"2\n", "models/3/b.csv": b"3\n"})
    return client.projects.get(PROJECT_ID)


def test_files_by_name(archived: projects_client.Project, tmp_path: Path) -> None:
    """One text is one pattern, and a file is found by its name alone."""
    assert [each.path for each in archived.download("a.csv", tmp_path)] == ["datasets/1/a.csv"]
    assert [each.path for each in archived.download("*a.csv", tmp_path)] == ["datasets/1/a.csv"]
    assert {each.path for each in archived.download("b.csv", tmp_path)} == {"datasets/2/b.csv", "models/3/b.csv"}
    with pytest.raises(NotFoundError, match=r"matches 'nothing\.csv'"):
        archived.download("nothing.csv", tmp_path)
    assert archived.open("a.csv").read() == b"1\n"
    assert archived.open("2/b.csv").read() == b"2\n"
    with pytest.raises(ConflictError, match=r"2 files 'b\.csv'.*datasets/2/b\.csv, models/3/b\.csv"):
        archived.open("b.csv")
    with pytest.raises(NotFoundError, match=r"no file 'c\.csv'"):
        archived.open("c.csv")


def test_files_of_resources(service: FakeService, client: Client) -> None:
    """``open`` takes a resource, whose path the manifest knows."""
    with_file, without = (records.Resource(id=str(uuid.UUID(int=number))) for number in (1, 2))
    rows = [{"id": with_file.id, "type": "dataset", "path": "datasets/1/a.csv"},
            {"id": without.id, "type": "report", "path": None}]  # fmt: skip
    service.data = build_archive({"datasets/1/a.csv": b"1\n"}, resources=rows)
    project = client.projects.get(PROJECT_ID)
    assert project.open(with_file).read() == b"1\n"
    with pytest.raises(NotFoundError, match=without.id):
        project.open(without)


@pytest.mark.parametrize("swapped", [(KEY, "{url}"), (f" {KEY}", "{url}"), ("{password}", KEY)])
def test_secrets_in_place_of_url(service: FakeService, swapped: tuple[str, str]) -> None:
    """A key or a password in the place of the URL is not shown: the outputs of a notebook are often shared."""
    password = service.url.replace("://", "://alice:a-secret@")
    with pytest.raises(InvalidInputError) as raised:
        Client(*(text.format(url=service.url, password=password) for text in swapped))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/", "/api/projects", "/api/docs"])
def test_paths_after_url(service: FakeService, path: str) -> None:
    """The URL of a list or of the docs page is good enough."""
    assert Client(f" {service.url}{path}\n", KEY).url == service.url


@pytest.mark.parametrize("text", [None, "", " ", 5, ["Card fraud"]])
def test_no_name(client: Client, text: Any) -> None:
    with pytest.raises(InvalidInputError, match="neither a name nor an id"):
        client.projects.get(text)


def test_other_mistakes(service: FakeService, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids may be UUIDs, a path may start with ``~``, and what is no path or no id is named."""
    project = client.projects.get(uuid.UUID(PROJECT_ID))
    assert project == client.projects.get("Card fraud")
    assert len({project, client.projects.get(PROJECT_ID)}) == 1
    assert project != projects_client.Project(client.api, {"id": str(uuid.UUID(int=9))})
    with pytest.raises(InvalidInputError, match="not the id of an import"):
        client.get_import(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="type dict"):
        project.upload({}, type="dataset")  # type: ignore[arg-type]
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.csv").write_text("a\n")
    assert project.upload("~/a.csv").name == "a.csv"
    assert project.export("~").path.parent == tmp_path


def test_names_after_import(service: FakeService, client: Client, tmp_path: Path) -> None:
    """The project of an import has its name, unless the key may not read; then it has no empty one."""
    archive = tmp_path / "a.zip"
    archive.write_bytes(service.data)
    service.imports.append({"status": "ready", "project_id": PROJECT_ID})
    assert repr(client.import_project(archive)) == f"<Project 'Card fraud' {PROJECT_ID}>"
    assert repr(projects_client.Project(client.api, {"id": PROJECT_ID})) == f"<Project {PROJECT_ID}>"


def test_resources_and_their_ids(service: FakeService, client: Client, tmp_path: Path) -> None:
    """A resource stands for its id; a name does not, and the error says where the ids are."""
    project = client.projects.get(PROJECT_ID)
    resource = project.create_resource("report", "Summary")
    (tmp_path / "a.csv").write_text("a\n")
    assert project.resource(resource).id == project.upload(tmp_path / "a.csv", replace=resource).id == resource.id
    project.delete_resource(resource)
    assert (service.requests[-1].method, service.requests[-1].path.rpartition("/")[2]) == ("DELETE", resource.id)
    with pytest.raises(InvalidInputError, match=r"not the id of a resource\. `project\.resources\(\)` shows the ids\."):
        project.resource("Summary")


def test_data_frames(service: FakeService, client: Client) -> None:
    """Every list becomes a DataFrame, in rows of the API's fields or of the objects' fields."""
    pandas = pytest.importorskip("pandas", reason="one Python is enough for pandas")
    service.projects = [build_project(f"Project {number}", number) for number in range(501)]
    frame = pandas.DataFrame(client.projects.list().to_dicts())
    assert (len(frame), str(frame["created_at"].dtype)) == (501, "datetime64[us, UTC]")
    project = client.projects.get(PROJECT_ID)
    project.create_resource("experiment", "run", {"auc": 0.9})
    assert list(pandas.DataFrame(project.resources()).columns)[:5] == ["id", "type", "name", "timestamp", "fields"]
    assert list(pandas.json_normalize(project.resources().to_dicts())["fields.auc"]) == [0.9]
    assert "download_url" not in pandas.DataFrame(project.exports())


def test_texts_name_methods(service: FakeService, client: Client, projects: ProjectsCommand) -> None:
    """An error names methods in a notebook, and commands on the command line; neither names a route."""
    not_found: ApiResponse = (404, {"detail": "You have no such project. GET /api/projects lists yours."}, {})
    leaving: ApiResponse = (409, {"detail": "The owner can't leave. Transfer the ownership first (PUT …/owner)."}, {})
    project = client.projects.get(PROJECT_ID)
    for response, call, arguments, method, command in (
        (not_found, project.refresh, ("timeline", PROJECT_ID), "`client.projects.list()`", "`projects list`"),
        (
            leaving,
            project.leave,
            ("leave", PROJECT_ID, "--yes"),
            "`project.transfer_ownership()`",
            "`projects transfer`",
        ),
    ):
        first: list[Any] = [(200, {"items": [], "caller_id": PROJECT_ID}, {})] if response is leaving else []
        service.responses.extend([*first, response])
        with pytest.raises(ProjectsClientError) as raised:
            call()
        assert method in str(raised.value)
        assert not re.search(r"(GET|PUT) (/|…)", str(raised.value))
        find: list[Any] = [(200, {"project": PROJECT}, {})]
        service.responses.extend(
            [*find, *first, response] if first else [response, (200, {"items": [], "total": 0}, {})]
        )
        result = projects(*(("members", *arguments) if first else arguments))
        assert (command in result.err, "()" in result.err) == (True, False), result.err


def read_texts() -> Iterator[str]:
    for file in set(LIBRARY.glob("*.py")) - {LIBRARY / "operator_functions.py"}:  # of the command line only
        yield from re.findall(r'f?"((?:[^"\\\n]|\\.)*)"', file.read_text(encoding="utf-8"))


def test_every_method_has_a_command() -> None:
    """The command line has a command for every method that a text of the library names; the texts name no commands."""
    texts = [text for text in read_texts() if " " in text]
    named = {name for text in texts for name in re.findall(r"`[\w.]+\(.*?\)`|`\w+=True`", text)}
    assert named - {"`Client(url, key)`", "`Project.upload`"} == {name for name in COMMANDS if name[0] == "`"}
    assert not [text for text in texts if re.search(r"(?<!`projects )--\w|`projects (?!login|--profile)|command", text)]


def test_unknown_profile(client: Client, projects: ProjectsCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that creates a missing profile is one that works."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(projects.folder / ".config"))
    with pytest.raises(InvalidInputError) as raised:
        Client(profile="my test")
    command = re.findall(r"`projects (--profile 'my test' login)`", str(raised.value))
    assert command
    assert projects("--api-url", client.url, "--profile", "my test", "login", stdin=KEY).code == 0


def test_progress_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A log gets one line for each stage, a terminal a few updates, and a notebook one output."""
    clock = iter(number / 100 for number in range(10_000))
    monkeypatch.setattr(progress_bar, "monotonic", lambda: next(clock))
    steps = [Step("uploading", number << 20, 200 << 20) for number in range(201)] + [
        Step("checking", 5, 5, "1 file")
    ] * 2

    def show() -> str:
        bar = ProgressBar()
        for step in steps:
            bar(step)
        return capsys.readouterr().err

    lines = show().splitlines()
    assert [re.sub(" ━+ ", " ━ ", line) for line in lines] == [
        "uploading    ━ 200.0 MiB of 200.0 MiB, 100.0 MiB/s", "checking     ━ 5 bytes of 5 bytes, 1 file",
    ]  # fmt: skip
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    updates = show().split("\r")
    assert 10 <= len(updates) <= 15
    assert "━━━━━━━━━━               82.0 MiB of 200.0 MiB, 100.0 MiB/s" in "".join(updates)
    shown: list[str] = []

    class Output:
        def update(self, content: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(content["text/plain"])

    def display(content: dict[str, str], *, raw: bool, display_id: bool) -> Output:
        output = Output()
        output.update(content, raw=raw and display_id)
        return output

    shell = SimpleNamespace(kernel=object())
    kernel = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    assert show() == ""
    assert shown[0].startswith("uploading")
    assert shown[-1].splitlines() == lines


def test_steps_of_upload(service: FakeService, client: Client, tmp_path: Path) -> None:
    """An upload reports its progress a few times a second, and not for each packet."""
    (tmp_path / "m.bin").write_bytes(bytes(20 << 20))
    steps: list[Step] = []
    client.projects.get(PROJECT_ID).upload(tmp_path / "m.bin", "model", progress=steps.append)
    assert 2 <= len(steps) < 200
    assert steps[-1].done == steps[-1].total == 20 << 20


def test_formulas_and_sizes(service: FakeService, client: Client, tmp_path: Path) -> None:
    """A notebook does not typeset ``$x$`` in a name, and shows an export as a table."""
    html = client.projects.list()._repr_html_() + client.projects.get(PROJECT_ID)._repr_html_()
    assert html.count("<table") == html.count('<div class="tex2jax_ignore mathjax_ignore"><table') == 2
    exported = client.projects.get(PROJECT_ID).export(tmp_path / "a.zip")
    assert "MiB" in exported._repr_html_()
    assert len(repr(exported)) < 200
    assert len(repr(client.projects) + repr(client.projects.get(PROJECT_ID).archive())) < 250
