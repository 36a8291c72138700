"""Tests of networks and file systems that go wrong: login pages, proxies, certificates, and missing locks."""

import errno
import fcntl
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import typer

from projects_client.cli.commands.operators import parse_expiry
from projects_client.file_lock import lock_file
from tests.support.cli_process import PROGRAM, ProjectsCommand
from tests.support.fake_api import PROJECT_ID, ApiResponse, FakeService

MIB = 1 << 20
LOGIN_PAGE = b"<html>Welcome to our network. Please log in.</html>".ljust(2600)


@pytest.mark.parametrize("offset", [0, MIB])
@pytest.mark.parametrize("size", [2600, 5 * MIB])
def test_login_page_instead_of_archive(service: FakeService, projects: ProjectsCommand, offset: int, size: int) -> None:
    """A complete page instead of the archive is a broken download: the part has no byte of it, and attempts end."""
    service.page = (offset, LOGIN_PAGE.ljust(size))
    result = projects("export", PROJECT_ID, "-o", "project.zip")
    assert result.code == 7
    assert "text/html instead of the archive" in result.err
    assert len(service.downloads) <= 7
    part = projects.folder / "project.zip.part"
    assert (part.read_bytes() if part.exists() else b"") == service.data[:offset]
    service.page = None
    assert projects("export", PROJECT_ID, "-o", "project.zip").code == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_login_page_of_same_size(service: FakeService, projects: ProjectsCommand) -> None:
    """A page that happens to have the archive's size has no ETag, which every object of S3 has."""
    service.page = (0, LOGIN_PAGE.ljust(len(service.data)))
    assert projects("export", PROJECT_ID, "-o", "project.zip").code == 7
    assert not (projects.folder / "project.zip.part").exists()


def test_login_page_instead_of_api(service: FakeService, projects: ProjectsCommand) -> None:
    """A page instead of the API's JSON is no rejected key."""
    for status in (200, 401, 403, 511):
        service.responses.append((status, LOGIN_PAGE, {}))
        result = projects("show", PROJECT_ID)
        assert (result.code, "not a response of the Projects API" in result.err) == (2, True)


@pytest.mark.parametrize(
    "proxy", ["127.0.0.1:99999", "http://127.0.0.1:99999", "http://user:secret@127.0.0.1:99999", "http://"]
)
def test_invalid_proxy(service: FakeService, projects: ProjectsCommand, proxy: str) -> None:
    result = projects("list", http_proxy=proxy, HTTP_PROXY=proxy, no_proxy="", NO_PROXY="")
    assert result.code == 2
    shown = "http://" if proxy == "http://" else "127.0.0.1:99999"
    assert f"'{shown}' is not a valid proxy. Check HTTP_PROXY" in result.err
    assert "secret" not in result.err


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_refuses(projects: ProjectsCommand, scheme: str) -> None:
    """A proxy without a listener is blamed, and not the API; its password is not printed."""
    proxy = "http://user:secret@127.0.0.1:9"
    environment = {"http_proxy": proxy, "https_proxy": proxy, "no_proxy": "", "NO_PROXY": ""}
    result = projects("list", PROJECTS_API_URL=f"{scheme}://projects.example", **environment)
    assert result.code == 7
    assert "The proxy 127.0.0.1:9 does not connect" in result.err
    assert "connection refused" in result.err
    assert "secret" not in result.err


def test_socks_proxy_that_refuses(service: FakeService, projects: ProjectsCommand) -> None:
    """A SOCKS proxy is named like any other."""
    result = projects("list", http_proxy="socks5://user:secret@127.0.0.1:9", no_proxy="", NO_PROXY="")
    assert result.code in {2, 7}
    assert "proxy" in result.err
    assert "127.0.0.1:9" in result.err
    assert "Check HTTP_PROXY" in result.err
    assert "secret" not in result.err


@contextmanager
def serve_response(response: bytes) -> Iterator[int]:
    """Respond to every connection with the same bytes, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(response)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_wants_a_password(projects: ProjectsCommand, scheme: str) -> None:
    """A proxy's 407 is blamed on the proxy, for plain requests and for tunnels."""
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with serve_response(refusal) as port:
        proxy = f"http://127.0.0.1:{port}"
        environment = {"http_proxy": proxy, "https_proxy": proxy, "no_proxy": "", "NO_PROXY": ""}
        result = projects("list", PROJECTS_API_URL=f"{scheme}://projects.example", **environment)
    assert result.code in {3, 7}
    assert f"The proxy 127.0.0.1:{port}" in result.err
    assert "Check HTTP_PROXY" in result.err


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_ca_bundle(projects: ProjectsCommand, variable: str, content: str | None) -> None:
    """A missing or an invalid bundle is blamed, with the variable that names it."""
    bundle = projects.folder / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with serve_response(b"") as port:
        environment = {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": "", variable: str(bundle)}
        result = projects("list", PROJECTS_API_URL=f"https://127.0.0.1:{port}", **environment)
    assert result.code == 2
    assert f"CA bundle {bundle}" in result.err
    assert variable in result.err


@pytest.mark.parametrize(
    ("environment", "blamed"),
    [
        ({"AWS_DEFAULT_REGION": "x y"}, "Check AWS_DEFAULT_REGION"),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_CA_BUNDLE": "/no/ca.pem"}, "Check the CA bundle /no/ca.pem"),
    ],
)
def test_operator_environment(projects: ProjectsCommand, environment: dict[str, str], blamed: str) -> None:
    """The commands of operators blame the variable that is wrong, too."""
    with serve_response(b"") as port:
        aws = {"AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        result = projects("users", "list", AWS_MAX_ATTEMPTS="1", **aws, **environment)
    assert result.code in {2, 7}
    assert blamed in result.err


def test_file_system_without_locks(service: FakeService, projects: ProjectsCommand) -> None:
    """Without locks, an export works with a warning, and leaves no lock file."""
    code = f"import fcntl\ndef flock(*_): raise OSError({errno.ENOLCK}, 'no locks')\nfcntl.flock = flock\n"
    (projects.folder / "patch").mkdir()
    (projects.folder / "patch" / "sitecustomize.py").write_text(code)
    (projects.folder / "out").mkdir()
    result = projects.run("export", PROJECT_ID, "-o", "out", PYTHONPATH=str(projects.folder / "patch"))
    assert result.code == 0, result.err
    assert "has no locks" in result.err
    assert [path.name for path in (projects.folder / "out").iterdir()] == ["Card fraud.zip"]


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS])
def test_errors_of_missing_locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    """Every error that file systems without locks have is one, and no lock of another program."""

    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    notes: list[str] = []
    with lock_file(tmp_path / "lock", on_unsupported=lambda: notes.append("no locks")):
        assert notes == ["no locks"]
    assert list(tmp_path.iterdir()) == []


def test_lock_of_a_killed_export(service: FakeService, projects: ProjectsCommand) -> None:
    """A lock file that a killed program left does not prevent an export, and a folder of that name is an error."""
    (projects.folder / "project.zip.part.lock").write_text("")
    assert projects("export", PROJECT_ID, "-o", "project.zip").code == 0
    assert not (projects.folder / "project.zip.part.lock").exists()
    (projects.folder / "other.zip.part.lock").mkdir()
    result = projects("export", PROJECT_ID, "-o", "other.zip")
    assert (result.code, len(result.err.splitlines())) == (1, 1)


def test_write_only_key(service: FakeService, projects: ProjectsCommand) -> None:
    """A key that can't read is told so before an export starts; a key that can only read exports."""
    service.scopes = {"write"}
    result = projects("export", PROJECT_ID, "-o", "project.zip")
    assert result.code == 4
    assert "scope 'read'" in result.err
    assert {request.method for request in service.requests} == {"GET"}
    service.scopes = {"read"}
    assert projects("export", PROJECT_ID, "-o", "project.zip").code == 0
    assert {request.method for request in service.requests} == {"GET"}


def test_failed_export_is_tried_again(service: FakeService, projects: ProjectsCommand) -> None:
    """The failure of the last minute does not keep a user from another attempt, unless the key may only read."""
    failed: ApiResponse = (409, {"detail": "The export failed. models/m.bin is missing.", "export": {}}, {})
    service.responses.extend([(200, {"project": {"id": PROJECT_ID, "name": "Churn"}}, {}), failed])
    assert projects("export", PROJECT_ID, "-o", "project.zip").code == 0
    assert ("POST", f"/api/projects/{PROJECT_ID}/exports") in [(each.method, each.path) for each in service.requests]
    service.scopes = {"read"}
    service.responses.extend([(200, {"project": {"id": PROJECT_ID, "name": "Churn"}}, {}), failed])
    result = projects("export", PROJECT_ID, "-o", "other.zip")
    assert (result.code, "models/m.bin is missing" in result.err) == (8, True)


def test_hints_name_commands(service: FakeService, projects: ProjectsCommand) -> None:
    """Hints depend on the status and the route: routes in the API's words are replaced, whatever the words are."""
    for detail in (
        "You have no such project. GET /api/projects lists yours.",
        "Gone! Try GET /api/projects?limit=9 first.",
    ):
        not_found: ApiResponse = (404, {"detail": detail}, {})
        service.responses.extend([not_found, (200, {"items": [], "total": 0}, {})])
        result = projects("show", PROJECT_ID)
        assert result.code == 5
        assert "GET /api" not in result.err
        assert "`projects list` shows yours." in result.err
    service.responses.extend([(200, {"project": {"id": PROJECT_ID}}, {}), (404, {"detail": "No such export."}, {})])
    result = projects("exports", "show", PROJECT_ID, PROJECT_ID)
    assert result.err.startswith("No such export. `projects exports list`")
    unregistered: ApiResponse = (404, {"detail": "No user is registered with this email."}, {})
    service.responses.extend([(200, {"project": {"id": PROJECT_ID}}, {}), unregistered])
    result = projects("members", "add", PROJECT_ID, "nobody@example.com")
    assert (result.code, result.err) == (5, "No user is registered with this email.\n")


def test_broken_pipe(service: FakeService, projects: ProjectsCommand) -> None:
    """A reader that ends early gets no traceback."""
    command = f"{PROGRAM} list | true; exit ${{PIPESTATUS[0]}}"
    environment = os.environ | projects.environment
    result = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr


def test_expiry() -> None:
    """``--expires`` takes dates, times and durations, and refuses the past."""
    now = datetime.now(timezone.utc)
    assert timedelta(days=89, hours=23) < parse_expiry("90d") - now <= timedelta(days=90)
    assert timedelta(hours=11, minutes=59) < parse_expiry("12 hours") - now <= timedelta(hours=12)
    assert timedelta(days=55) < parse_expiry("+8W") - now <= timedelta(weeks=8)
    assert parse_expiry("2999-01-01") == datetime(2999, 1, 1, tzinfo=timezone.utc)
    assert parse_expiry("2999-01-01T09:00:00Z") == parse_expiry("2999-01-01T11:00:00+02:00")


@pytest.mark.parametrize("text", ["999999w", "10000000d", "9" * 5_000 + "h", "9999-12-31T23:59:59-01:00"])
def test_expiry_beyond_the_calendar(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="too far away"):
        parse_expiry(text)


@pytest.mark.parametrize("text", ["", "90", "0d", "-1d", "90y", "1999-01-01", "soon", "2027-13-01"])
def test_invalid_expiry(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_expiry(text)


def test_refused_expiry(projects: ProjectsCommand) -> None:
    result = projects("keys", "create", "ada@example.com", "--expires", "90 fortnights")
    assert result.code == 2
    assert "90d" in result.err.replace("\n", " ")
