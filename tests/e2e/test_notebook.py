"""The notebook of the tutorial, run after `projects login` as its first cell says."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.support.cli_process import ProjectsCommand
from tests.support.running_stack import ROOT, RunningStack

NOTEBOOK = ROOT / "docs" / "tutorial" / "notebook.ipynb"


def read_notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]  # nbformat does not annotate it


def execute(stack: RunningStack, folder: Path) -> Any:
    """Sign Alice in with a home of her own, and return the notebook as executed there."""
    command = ProjectsCommand(folder)
    key = stack.description["users"]["alice"]["api_key"]
    assert command("--api-url", stack.description["base_url"], "login", stdin=key).code == 0
    notebook = read_notebook()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PROJECTS_", "XDG_"))}
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute(
        env=inherited | {"HOME": str(folder)}
    )
    return notebook


def list_outputs(notebook: Any) -> list[list[tuple[str, ...]]]:
    """Return for each cell of code the kinds of its outputs, such as a text, a table or an image."""
    return [
        [tuple(sorted(output.get("data", {output["output_type"]: ""}))) for output in cell["outputs"]]
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def test_notebook(stack: RunningStack, tmp_path: Path) -> None:
    """The notebook runs without an error, and its outputs in git are those of a run."""
    executed = execute(stack, tmp_path)
    assert list_outputs(executed) == list_outputs(read_notebook())
    assert sum("image/png" in kinds for outputs in list_outputs(executed) for kinds in outputs) == 2
    assert (tmp_path / "card-fraud.zip").exists()


def test_outputs_in_git() -> None:
    """The notebook has neither keys nor signed URLs, paths of a machine, errors or warnings."""
    text = NOTEBOOK.read_text()
    assert re.findall(r"prj_[0-9a-f]{16}|X-Amz-|Traceback|\"stream\"", text) == []
    assert not any(str(folder) in text for folder in (ROOT, Path.home(), tempfile.gettempdir()))
