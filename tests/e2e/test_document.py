"""The OpenAPI document matches the running stack."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_client import Client
from tests.support.running_stack import ROOT, start_stack

DOCUMENT = ROOT / "docs" / "openapi.json"
CONFIGURATION = ROOT / "tests" / "e2e" / "schemathesis" / "schemathesis.toml"
PROGRAMS_FOLDER = Path(sys.executable).parent

#: The number of random requests that schemathesis generates for each operation, and their seed.
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "10")
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")


def run_command(command: list[str | Path], **environment: str) -> str:
    """Run a command, and return its output.

    Raises:
        AssertionError: The command failed.
    """
    environment = {**os.environ, "PATH": f"{PROGRAMS_FOLDER}:{os.environ['PATH']}", **environment}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def describe_user(name: str, user: Client) -> dict[str, Any]:
    """Describe a user to schemathesis, in the format of Web Fuzzing Commons."""
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {user.api_key}"}]}


@pytest.mark.exhaustive
def test_schemathesis(tmp_path: Path) -> None:
    """All checks of schemathesis pass. It runs on another stack, because it creates many projects."""
    users_path = tmp_path / "users.json"
    with start_stack(tmp_path / "local") as stack:
        users = {"alice": stack.client("alice"), "mallory": stack.register_user("mallory")}
        users_path.write_text(json.dumps({"auth": [describe_user(name, user) for name, user in users.items()]}))
        output = run_command(
            [
                *(PROGRAMS_FOLDER / "schemathesis", "--config-file", CONFIGURATION, "run", DOCUMENT),
                *("--url", stack.description["base_url"]),
                *("--max-examples", EXAMPLES, "--seed", SEED, "--no-color"),
            ],
            PROJECTS_API_USERS=str(users_path),
            PYTHONPATH=str(ROOT),
        )
    print(output)
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in output.partition("SUMMARY")[2], output
    operations = sum(len(item) for item in json.loads(DOCUMENT.read_text())["paths"].values())
    assert f"Tested: {operations}" in output
