"""The OpenAPI document is true: what it says is what the running stack does, and a client can be made of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.api_client import Client
from tests.support.running_stack import ROOT, RunningStack, running

DOCUMENT = ROOT / "docs" / "openapi.json"
CONFIGURATION = ROOT / "tests" / "e2e" / "schemathesis" / "schemathesis.toml"
PROGRAMS = Path(sys.executable).parent

#: How many requests schemathesis makes up for each operation, beside those that it works out, and from what seed.
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "10")
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")

CLIENT = """
import sys, uuid
from projects_api_client import AuthenticatedClient
from projects_api_client.api.projects import get_project, list_projects
from projects_api_client.api.timeline import get_timeline
from projects_api_client.models import ProjectList, SortField

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
listed = list_projects.sync(client=client, sort_field=SortField.NAME, search="demo project")
assert isinstance(listed, ProjectList)
(project,) = listed.items
timeline = get_timeline.sync(project.id, client=client)
print(project.name, project.role.value, [(event.type_, event.timestamp.year) for event in timeline.events])
print(get_project.sync(uuid.uuid4(), client=client).detail)
"""


def ran(command: list[str | Path], **environment: str) -> str:
    """What a command prints, which must end well."""
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **environment}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def signed_in(name: str, person: Client) -> dict[str, Any]:
    """Somebody, as schemathesis reads of them in the format of Web Fuzzing Commons."""
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {person.api_key}"}]}


def test_schemathesis_finds_nothing_that_is_not_so(tmp_path: Path) -> None:
    """In a stack of its own, since it leaves a great many projects behind."""
    users = tmp_path / "users.json"
    with running(tmp_path / "local") as stack:
        people = {"alice": stack.client("alice"), "mallory": stack.registered("mallory")}
        users.write_text(json.dumps({"auth": [signed_in(name, person) for name, person in people.items()]}))
        printed = ran(
            [
                *(PROGRAMS / "schemathesis", "--config-file", CONFIGURATION, "run", DOCUMENT),
                *("--url", stack.description["base_url"]),
                *("--max-examples", EXAMPLES, "--seed", SEED, "--no-color"),
            ],
            PROJECTS_API_USERS=str(users),
            PYTHONPATH=str(ROOT),
        )
    print(printed)
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in printed.partition("SUMMARY")[2], printed
    operations = sum(len(item) for item in json.loads(DOCUMENT.read_text())["paths"].values())
    assert f"Tested: {operations}" in printed


def test_a_client_that_a_generator_made_of_it_lists_projects(stack: RunningStack, tmp_path: Path) -> None:
    target = tmp_path / "projects_api_client"
    generate: list[str | Path] = [PROGRAMS / "openapi-python-client", "generate", "--fail-on-warning"]
    ran([*generate, "--path", DOCUMENT, "--meta", "none", "--output-path", target])
    key = stack.client("alice").api_key
    printed = ran([sys.executable, "-c", CLIENT, stack.description["base_url"], key], PYTHONPATH=str(tmp_path))
    assert printed.splitlines() == [
        "Card fraud owner [('dataset', 2026), ('experiment', 2026), ('model', 2026), ('report', 2026)]",
        "There is no such project, or you are not a member of it. GET /api/projects lists yours.",
    ]
