"""The examples in the README, the tutorial and the how-to guides, run unchanged; and the links between the pages."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.write_parameters import PAGE as PARAMETERS_PAGE
from scripts.write_parameters import render_page
from tests.support.api_client import Client
from tests.support.running_stack import ROOT, RunningStack


def read_code(language: str, section: str = "A first session", document: str = "README.md") -> str:
    """Return the code in a language in a section of a document."""
    text = (ROOT / document).read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(code)


def run_in_folder(stack: RunningStack, command: list[str], folder: Path) -> str:
    """Run a command in a folder that has the files of the stack, and return its output."""
    for name, target in ((".local", stack.folder), (".venv", sys.prefix), ("events", ROOT / "events")):
        if not (folder / name).exists():
            (folder / name).symlink_to(target)
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_session_with_curl(stack: RunningStack, tmp_path: Path) -> None:
    script = read_code("sh").replace("http://127.0.0.1:8888", stack.description["base_url"])
    output = run_in_folder(stack, ["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert '"role":"viewer"' in output
    assert '"format": "projects-export/2"' in output
    assert zipfile.ZipFile(tmp_path / "project.zip").testzip() is None
    assert (tmp_path / "project" / "manifest.json").exists()


def test_session_with_requests(stack: RunningStack, tmp_path: Path) -> None:
    output = run_in_folder(stack, [sys.executable, "-c", read_code("python")], tmp_path)
    assert "Churn owner" in output
    assert "['manifest.json']" in output


def test_session_with_command_line(stack: RunningStack, alice: Client, tmp_path: Path) -> None:
    script = read_code("sh", "The command line").replace("http://127.0.0.1:8888", stack.description["base_url"])
    output = run_in_folder(stack, ["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert "Card fraud\towner" in output
    assert "transactions.csv" in output
    assert zipfile.ZipFile(tmp_path / "fraud.zip").testzip() is None
    assert [name for name in zipfile.ZipFile(tmp_path / "customers.zip").namelist() if name.endswith("/customers.csv")]
    assert re.findall(r"^Customers.*?\t\w+\t1", output, re.MULTILINE) == [
        "Customers, restored\towner\t1",
        "Customers\towner\t1",
    ]
    for project in alice.get("/api/projects?search=customers")["items"]:
        alice.delete(f"/api/projects/{project['id']}")


#: The pages whose examples need no AWS account and no Docker, each with a text that its examples print.
PAGES = {
    "tutorial/first-export.md": "3 files verified",
    "how-to/download-an-export.md": "No errors detected in compressed data of project.zip.\nNone",
    "how-to/poll-an-export.md": "True",
    "how-to/page-through-lists.md": "Card fraud ['transactions.csv', 'baseline', 'gradient-boosting.bin', 'report.md']",
    "how-to/publish-events.md": "customers.csv 1",
    "how-to/invoke-one-event.md": "{'statusCode': 404, ",
    "how-to/import-a-project.md": "ready [] []\nCard fraud, restored owner 1",
}

#: The pages whose examples other tests run, or that need Docker.
OTHER_PAGES = {
    "tutorial/command-line.md",
    "how-to/deploy.md",
    "how-to/manage-users-and-keys.md",
    "how-to/offboard-a-user.md",
    "how-to/respond-to-alarms.md",
    "how-to/handle-dead-letters.md",
    "how-to/restore-data.md",
    "how-to/remove-a-stack.md",
    "how-to/run-on-real-engines.md",
    "how-to/upload.md",
}


@pytest.mark.parametrize("page", PAGES)
def test_page(stack: RunningStack, alice: Client, tmp_path: Path, page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    scripts = {
        language: "\n".join(re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)) for language in ("sh", "python")
    }
    commands = {
        "sh": [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            scripts["sh"].replace("http://127.0.0.1:8888", stack.description["base_url"]),
        ],
        "python": [sys.executable, "-c", scripts["python"]],
    }
    output = "".join(
        run_in_folder(stack, commands[language], tmp_path) for language, script in scripts.items() if script
    )
    for project in alice.get("/api/projects?search=churn")["items"]:
        alice.delete(f"/api/projects/{project['id']}")
    assert PAGES[page] in output


def test_offboarding(stack: RunningStack, alice: Client, tmp_path: Path) -> None:
    """An operator who follows the page leaves nothing to a user: no project, no role and no key that works."""
    ada = stack.register_user("ada")
    project_id = ada.create("Left behind")
    page = (ROOT / "docs" / "how-to" / "offboard-a-user.md").read_text().partition("\n## ")[0]
    operators = (ROOT / "client" / "README.md").read_text().partition("## Operators")[2]
    _, local = re.findall(r"```sh\n(.*?)```", operators, re.DOTALL)
    steps = "".join(re.findall(r" *```sh\n(.*?)```", page, re.DOTALL)).replace("ada@example.com", str(ada.email))
    script = f'PATH="$PWD/.venv/bin:$PATH"\n{local}{steps}'
    output = run_in_folder(stack, ["bash", "-euo", "pipefail", "-c", script], tmp_path)
    assert project_id in (tmp_path / "ada.json").read_text()
    assert '"owned_project_ids": []' in output
    (key,) = re.findall(rf"^{ada.api_key.split('_')[1]}\t.*$", output, re.MULTILINE)
    assert key.split("\t")[4], key  # the time of the revocation
    assert ada.request("GET", "/api/projects").status == 403
    bob = stack.client("bob")
    members = bob.get(f"/api/projects/{project_id}/members")["items"]
    assert [(member["email"], member["role"]) for member in members] == [("bob@example.com", "owner")]
    assert bob.delete(f"/api/projects/{project_id}").status == 200


def test_upload_page(stack: RunningStack, alice: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pandas reads the file that curl has uploaded from its signed URL."""
    page = "docs/how-to/upload.md"
    for name, value in {
        "API": stack.description["base_url"],
        "KEY": alice.api_key,
        "PROJECT": alice.create("Upload"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "customers.csv").write_text("id,left\n1,no\n2,yes\n")
    run_in_folder(stack, ["bash", "-euo", "pipefail", "-c", read_code("sh", "With curl", page)], tmp_path)
    output = run_in_folder(stack, [sys.executable, "-c", read_code("python", "Read it with pandas", page)], tmp_path)
    assert output == "customers.csv (2, 2)\n"


def test_all_pages_are_tested() -> None:
    folders = (ROOT / "docs" / name for name in ("tutorial", "how-to"))
    pages = {str(path.relative_to(ROOT / "docs")) for folder in folders for path in folder.glob("*.md")}
    assert pages == PAGES.keys() | OTHER_PAGES


def test_links() -> None:
    """Every link between the documents leads to a file, and to a heading that it has."""
    broken = []
    for page in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "client" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "docs").rglob("*.ipynb"),
    ):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if "://" in link or link.startswith("mailto:"):
                continue
            if not target.exists() or (anchor and anchor not in list_anchors(target.read_text())):
                broken.append(f"{page.name}: {link}")
    assert broken == []


def list_anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


def test_parameters_are_documented() -> None:
    assert PARAMETERS_PAGE.read_text() == render_page(), "run `make parameters`"
