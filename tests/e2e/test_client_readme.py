"""Tests that run the sessions of the client's README, as a reader pastes them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from projects_client.cli.main import app
from tests.support.running_stack import ROOT, RunningStack

README = (ROOT / "client" / "README.md").read_text()


def get_code(language: str, section: str) -> list[str]:
    text = README.partition(f"# {section}\n")[2].split("\n## ")[0].split("\n### ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(stack: RunningStack, folder: Path, command: list[str], **environment: str) -> str:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PROJECTS_", "AWS_", "XDG_"))
    }
    values = {
        "PROJECTS_API_URL": stack.description["base_url"],
        "PROJECTS_API_KEY": stack.description["users"]["alice"]["api_key"],
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    result = subprocess.run(
        command,
        cwd=folder,
        env=inherited | values | environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def run_shell(stack: RunningStack, folder: Path, script: str, **environment: str) -> str:
    return run(stack, folder, ["bash", "-euo", "pipefail", "-c", script], **environment)


def test_sign_in(stack: RunningStack, tmp_path: Path) -> None:
    """``login`` is asked for the key on stdin here, because it has no terminal."""
    (tmp_path / "key.txt").write_text(stack.description["users"]["bob"]["api_key"])
    (script,) = get_code("sh", "Sign in")
    script = re.sub("https://(projects|test).example", stack.description["base_url"], script)
    script = re.sub("login +#", f"login <<< {stack.description['users']['alice']['api_key']} #", script)
    printed = run_shell(stack, tmp_path, script, PROJECTS_API_URL="", PROJECTS_API_KEY="")
    assert "alice@example.com" in printed


def test_library(stack: RunningStack, tmp_path: Path) -> None:
    (code,) = get_code("python", "The library")
    printed = run(stack, tmp_path, [sys.executable, "-c", code])
    assert "['alice@example.com', 'bob@example.com']" in printed
    assert "churn.zip 0" in printed


def test_open(stack: RunningStack, tmp_path: Path) -> None:
    (code,) = get_code("python", "Read files without downloading the archive")
    assert "True\n[" in run(stack, tmp_path, [sys.executable, "-c", code])


def test_command_line(stack: RunningStack, tmp_path: Path) -> None:
    (script,) = get_code("sh", "The command line")
    run_shell(stack, tmp_path, script)
    assert (tmp_path / "churn.zip").exists()
    assert list(tmp_path.rglob("*.csv"))


def test_uploads_and_imports(stack: RunningStack, tmp_path: Path) -> None:
    (script,) = get_code("sh", "Uploads and imports")
    (tmp_path / "customers.csv").write_text("customer,left\n1,no\n2,yes\n")
    start = 'projects create "Churn"\nprojects export "Churn" -o churn.zip\n'
    end = "projects list --search churn\nprojects list --search churn --json > churn.json"
    user = stack.register_user("ada")  # who has no other projects of these names
    printed = run_shell(stack, tmp_path, f"{start}{script}{end}", PROJECTS_API_KEY=user.api_key)
    projects = json.loads((tmp_path / "churn.json").read_text())["items"]
    assert {project["name"]: project["dataset_count"] for project in projects} == {
        "Churn": 1,
        "Churn, restored": 0,  # the archive is older than the upload
        "Churn, 2027": 1,
    }, printed


def test_operators(stack: RunningStack, tmp_path: Path) -> None:
    script, local = get_code("sh", "Operators")
    (tmp_path / ".local").symlink_to(stack.folder)
    printed = run_shell(stack, tmp_path, f"{local}\n{script}")
    assert "ada@example.com" in printed


def list_commands() -> list[str]:
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            assert command.callback is not None
            names.append(command.name or command.callback.__name__)
    return names


@pytest.mark.parametrize("name", sorted(set(list_commands())))
def test_every_command_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", README)
