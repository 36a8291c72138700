"""Clients generated from the OpenAPI document, in Python and TypeScript: they list, create and download."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.running_stack import ROOT, RunningStack

DOCUMENT = ROOT / "docs" / "openapi.json"
HERE = Path(__file__).parent
PROGRAMS_FOLDER = Path(sys.executable).parent
NOT_FOUND = "There is no such project, or you are not a member of it. GET /api/projects lists yours."


def run_command(command: list[str | Path], folder: Path, **environment: str) -> str:
    """Run a command in a folder, and return its output.

    Raises:
        AssertionError: The command failed.
    """
    environment = {**os.environ, "PATH": f"{PROGRAMS_FOLDER}:{os.environ['PATH']}", **environment}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def read_manifest(path: Path) -> str:
    """Return the name of the project whose archive a client has downloaded."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        name: str = json.loads(archive.read("manifest.json"))["project"]["name"]
        return name


def test_python(stack: RunningStack, tmp_path: Path) -> None:
    """openapi-python-client generates a client without warnings, also of the route whose 200 is JSON or a file."""
    generate: list[str | Path] = [PROGRAMS_FOLDER / "openapi-python-client", "generate", "--fail-on-warning"]
    target = tmp_path / "projects_api_client"
    run_command([*generate, "--path", DOCUMENT, "--meta", "none", "--output-path", target], tmp_path)
    arguments = [stack.description["base_url"], stack.client("alice").api_key, "project.zip"]
    output = run_command([sys.executable, HERE / "session.py", *arguments], tmp_path, PYTHONPATH=str(tmp_path))
    assert output.splitlines() == [
        "Card fraud owner ['dataset', 'experiment', 'model', 'report']",
        "Made in Python owner",
        NOT_FOUND,
    ]
    assert read_manifest(tmp_path / "project.zip") == "Made in Python"


def test_typescript(stack: RunningStack, tmp_path: Path) -> None:
    """The types of openapi-typescript fit the session, which openapi-fetch then runs with Node's own `fetch`."""
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    for name in ("session.ts", "tsconfig.json", "package.json"):
        (tmp_path / name).write_text((HERE / name).read_text())
    modules = HERE / "node_modules"
    node = PROGRAMS_FOLDER / "node"
    run_command([node, modules / "openapi-typescript" / "bin" / "cli.js", DOCUMENT, "-o", "schema.ts"], tmp_path)
    run_command([node, modules / "typescript" / "bin" / "tsc", "-p", "tsconfig.json"], tmp_path)
    arguments = [stack.description["base_url"], stack.client("alice").api_key, "project.zip"]
    output = run_command([node, "session.ts", *arguments], tmp_path)
    assert output.splitlines() == ["Card fraud", "Made in TypeScript owner", f"404 {NOT_FOUND}"]
    assert read_manifest(tmp_path / "project.zip") == "Made in TypeScript"
