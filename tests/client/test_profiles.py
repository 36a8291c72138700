"""Tests of ``projects login``, ``logout``, ``whoami`` and saved profiles."""

import os
import stat
from pathlib import Path

import pytest

from projects_client import Client, InvalidInputError, NotAuthenticatedError
from tests.client.conftest import KEY
from tests.support.cli_process import ProjectsCommand
from tests.support.fake_api import FakeService


@pytest.fixture
def signed_out(service: FakeService, projects: ProjectsCommand) -> ProjectsCommand:
    """Return the command without URL and key in its environment."""
    return ProjectsCommand(projects.folder)


def get_file(projects: ProjectsCommand) -> Path:
    return projects.folder / ".config" / "projects-client" / "profiles.json"


def login(projects: ProjectsCommand, service: FakeService, *options: str, key: str = KEY) -> str:
    result = projects("--api-url", service.url, *options, "login", stdin=f"{key}\n")
    assert result.code == 0, result.err
    assert "secret" not in result.out + result.err
    return result.err


def test_login(service: FakeService, signed_out: ProjectsCommand) -> None:
    """A key from stdin is checked, saved for the user alone, used, and removed again."""
    assert signed_out("list").code == 2
    assert "You are alice@example.com." in login(signed_out, service)
    file = get_file(signed_out)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["profiles.json"]
    assert signed_out("list").code == 0
    shown = signed_out("whoami")
    assert "email\talice@example.com" in shown.out
    assert "secret" not in shown.out
    assert signed_out("logout").code == 0
    assert signed_out("list").code == 2
    assert signed_out("logout").code == 5


def test_rejected_key(service: FakeService, signed_out: ProjectsCommand) -> None:
    """A key that the API rejects is not saved."""
    service.responses.append((401, {"message": "Unauthorized"}, {}))
    result = signed_out("--api-url", service.url, "login", stdin=KEY)
    assert (result.code, "secret" in result.err) == (3, False)
    assert not get_file(signed_out).exists()
    for key, reason in (("", "is empty"), ("\n", "is empty"), ("a\x00b", "characters"), ("ключ", "characters")):
        result = signed_out("--api-url", service.url, "login", stdin=key)
        assert (result.code, reason in result.err) == (3, True)
    assert signed_out("login", stdin=KEY).code == 2


def test_key_from_windows(service: FakeService, signed_out: ProjectsCommand) -> None:
    """An editor may have saved the key with a byte order mark and another line end."""
    login(signed_out, service, key=f"\ufeff{KEY}\r")
    assert KEY in get_file(signed_out).read_text()
    assert "\\ufeff" not in get_file(signed_out).read_text()


def test_profiles(service: FakeService, signed_out: ProjectsCommand) -> None:
    """Profiles are independent; ``--profile`` wins over the environment, and the environment over the default."""
    login(signed_out, service, key=f"{KEY}1")
    login(signed_out, service, "--profile", "other", key=f"{KEY}2")
    for arguments, environment, key in (
        ((), {}, f"{KEY}1"),
        (("--profile", "other"), {}, f"{KEY}2"),
        ((), {"PROJECTS_PROFILE": "other"}, f"{KEY}2"),
        ((), {"PROJECTS_API_KEY": f"{KEY}3"}, f"{KEY}3"),
        (("--profile", "other"), {"PROJECTS_API_KEY": f"{KEY}3", "PROJECTS_API_URL": service.url}, f"{KEY}2"),
        (("--api-key", f"{KEY}4"), {"PROJECTS_API_KEY": f"{KEY}3"}, f"{KEY}4"),
    ):
        assert signed_out(*arguments, "list", **environment).code == 0
        assert service.requests[-1].headers["Authorization"] == f"Bearer {key}"
    unknown = signed_out("--profile", "third", "list")
    assert (unknown.code, "'default', 'other'" in unknown.err) == (2, True)
    completion = {"_PROJECTS_COMPLETE": "complete_bash", "COMP_WORDS": "projects --profile ", "COMP_CWORD": "2"}
    assert signed_out(**completion).out.split() == ["default", "other"]
    get_file(signed_out).write_text("damaged")
    assert "damaged" not in signed_out(**completion).out


def test_key_stays_with_its_url(service: FakeService, signed_out: ProjectsCommand) -> None:
    """A saved key is never sent to another URL, neither of the environment nor of an option."""
    login(signed_out, service)
    for options, environment in (
        ((), {"PROJECTS_API_URL": "http://127.0.0.1:9"}),
        (("--api-url", "http://127.0.0.1:9"), {}),
    ):
        result = signed_out(*options, "list", **environment)
        assert (result.code, "The API key is missing" in result.err) == (3, True)
    assert signed_out("--api-url", f"{service.url}/", "list").code == 0


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_readable_file(service: FakeService, signed_out: ProjectsCommand, mode: int) -> None:
    """A file that others can read is refused, with the command that repairs it."""
    login(signed_out, service)
    get_file(signed_out).chmod(mode)
    result = signed_out("list")
    assert (result.code, "chmod 600" in result.err) == (3, True)
    get_file(signed_out).chmod(0o600)
    assert signed_out("list").code == 0


@pytest.mark.parametrize("content", ["", "[]", '{"profiles": 5}', "\x00", "[" * 100_000], ids=range(5))
def test_damaged_file(service: FakeService, signed_out: ProjectsCommand, content: str) -> None:
    login(signed_out, service)
    get_file(signed_out).write_text(content)
    result = signed_out("list")
    assert (result.code, "not a valid file" in result.err) == (2, True)


def test_folder_of_others(service: FakeService, signed_out: ProjectsCommand) -> None:
    """An existing folder that others can enter is closed, and a link at the temporary name is not followed."""
    folder = get_file(signed_out).parent
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    login(signed_out, service)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_xdg_folder(service: FakeService, signed_out: ProjectsCommand) -> None:
    """The folder for settings follows the XDG specification, which ignores relative paths."""
    folder = signed_out.folder / "settings"
    result = signed_out("--api-url", service.url, "login", stdin=KEY, XDG_CONFIG_HOME=str(folder))
    assert (result.code, (folder / "projects-client" / "profiles.json").exists()) == (0, True)
    assert signed_out("--api-url", service.url, "login", stdin=KEY, XDG_CONFIG_HOME="relative").code == 0
    assert get_file(signed_out).exists()


def test_client_from_environment(service: FakeService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The library finds the same URL and key as the command."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("PROJECTS_API_URL", "PROJECTS_API_KEY", "PROJECTS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidInputError, match="projects login"):
        Client()
    with pytest.raises(NotAuthenticatedError, match="projects login"):
        Client(service.url)
    monkeypatch.setenv("PROJECTS_API_URL", service.url)
    monkeypatch.setenv("PROJECTS_API_KEY", KEY)
    client = Client()
    assert client.me().user.email == "alice@example.com"
    assert "secret" not in repr(client) + repr(client.me())
