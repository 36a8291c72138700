"""Run mutation tests of the archive format and the permission rules, as `make mutation` does.

mutmut derives module names from file paths, so it runs in `.mutation/`, where the package is at the top.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKSPACE = ROOT / ".mutation"

#: The lowest accepted percentage of mutants that the tests detect.
MIN_SCORE = 90


def create_workspace() -> None:
    """Copy the package and the tests, and keep mutmut's results of earlier runs."""
    WORKSPACE.mkdir(exist_ok=True)
    for source, name in (("layers/core/projects_api", "projects_api"), ("tests", "tests")):
        shutil.rmtree(WORKSPACE / name, ignore_errors=True)
        shutil.copytree(ROOT / source, WORKSPACE / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "pyproject.toml", WORKSPACE)


def run_mutmut(*arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("mutmut"), *arguments], cwd=WORKSPACE, check=True)


def main() -> int:
    create_workspace()
    run_mutmut("run", "--max-children", "2")
    run_mutmut("results")
    run_mutmut("export-cicd-stats")
    stats = json.loads((WORKSPACE / "mutants" / "mutmut-cicd-stats.json").read_text())
    detected = stats["killed"] + stats["timeout"]
    total = stats["total"] - stats["skipped"]
    score = 100 * detected / total
    print(f"Mutation score: {score:.1f} % ({detected} of {total} mutants detected, minimum {MIN_SCORE} %).")
    return 0 if score >= MIN_SCORE else 1


if __name__ == "__main__":
    sys.exit(main())
