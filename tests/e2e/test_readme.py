"""The sessions of the README, and the event of docs/api.md, work as pasted."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.api_client import Client
from tests.support.running_stack import ROOT, RunningStack


def pasted(language: str, section: str = "A first session", document: str = "README.md") -> str:
    """The code of a section of a document in a language."""
    session = (ROOT / document).read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(rf"```{language}\n(.*?)```", session, re.DOTALL)
    return str(code)


def ran(stack: RunningStack, command: list[str], folder: Path) -> str:
    (folder / ".local").symlink_to(stack.folder)
    (folder / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_session_with_curl(stack: RunningStack, tmp_path: Path) -> None:
    script = pasted("sh").replace("http://127.0.0.1:8888", stack.description["base_url"])
    printed = ran(stack, ["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert '"role":"viewer"' in printed
    assert '"format": "projects-export/1"' in printed
    assert zipfile.ZipFile(tmp_path / "project.zip").testzip() is None
    assert (tmp_path / "project" / "manifest.json").exists()


def test_the_session_with_requests(stack: RunningStack, tmp_path: Path) -> None:
    printed = ran(stack, [sys.executable, "-c", pasted("python")], tmp_path)
    assert "Churn owner" in printed
    assert "['manifest.json']" in printed


def test_the_session_with_the_command_line(stack: RunningStack, tmp_path: Path) -> None:
    script = pasted("sh", "The command line").replace("http://127.0.0.1:8888", stack.description["base_url"])
    printed = ran(stack, ["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert "Card fraud\towner" in printed
    assert "transactions.csv" in printed
    assert zipfile.ZipFile(tmp_path / "fraud.zip").testzip() is None


def test_the_event_of_a_service(stack: RunningStack, alice: Client, tmp_path: Path) -> None:
    script = pasted("python", "Events", "docs/api.md")
    assert ran(stack, [sys.executable, "-c", script], tmp_path) == "customers.csv 1\n"
    (project,) = alice.get("/api/projects?search=churn")["items"]
    assert project["dataset_count"] == 1
    assert alice.delete(f"/api/projects/{project['id']}").status == 200
