"""The code in the README and in docs/api.md, run unchanged."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.api_client import Client
from tests.support.running_stack import ROOT, RunningStack


def read_code(language: str, section: str = "A first session", document: str = "README.md") -> str:
    """Return the code in a language in a section of a document."""
    text = (ROOT / document).read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(code)


def run_in_folder(stack: RunningStack, command: list[str], folder: Path) -> str:
    """Run a command in a folder that has the files of the stack, and return its output."""
    (folder / ".local").symlink_to(stack.folder)
    (folder / ".venv").symlink_to(sys.prefix)
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_session_with_curl(stack: RunningStack, tmp_path: Path) -> None:
    script = read_code("sh").replace("http://127.0.0.1:8888", stack.description["base_url"])
    output = run_in_folder(stack, ["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert '"role":"viewer"' in output
    assert '"format": "projects-export/1"' in output
    assert zipfile.ZipFile(tmp_path / "project.zip").testzip() is None
    assert (tmp_path / "project" / "manifest.json").exists()


def test_session_with_requests(stack: RunningStack, tmp_path: Path) -> None:
    output = run_in_folder(stack, [sys.executable, "-c", read_code("python")], tmp_path)
    assert "Churn owner" in output
    assert "['manifest.json']" in output


def test_session_with_command_line(stack: RunningStack, tmp_path: Path) -> None:
    script = read_code("sh", "The command line").replace("http://127.0.0.1:8888", stack.description["base_url"])
    output = run_in_folder(stack, ["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert "Card fraud\towner" in output
    assert "transactions.csv" in output
    assert zipfile.ZipFile(tmp_path / "fraud.zip").testzip() is None


def test_publish_event(stack: RunningStack, alice: Client, tmp_path: Path) -> None:
    script = read_code("python", "Events", "docs/api.md")
    assert run_in_folder(stack, [sys.executable, "-c", script], tmp_path) == "customers.csv 1\n"
    (project,) = alice.get("/api/projects?search=churn")["items"]
    assert project["dataset_count"] == 1
    assert alice.delete(f"/api/projects/{project['id']}").status == 200
