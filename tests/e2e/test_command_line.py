"""Tests of the ``projects`` command against the running stack."""

import io
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from projects_client import Client as Library
from tests.e2e.test_session import publish_event, store_artifact, wait_until
from tests.support.api_client import Client
from tests.support.cli_process import ProjectsCommand
from tests.support.running_stack import RunningStack

MIB = 1 << 20


def create_command(stack: RunningStack, nick: str, folder: Path) -> ProjectsCommand:
    base_url = stack.description["base_url"]
    return ProjectsCommand(folder, {"PROJECTS_API_URL": base_url, "PROJECTS_API_KEY": stack.client(nick).api_key})


@pytest.fixture
def alice(stack: RunningStack, tmp_path: Path) -> ProjectsCommand:
    return create_command(stack, "alice", tmp_path)


@pytest.fixture
def bob(stack: RunningStack, tmp_path: Path) -> ProjectsCommand:
    return create_command(stack, "bob", tmp_path)


@pytest.fixture
def operator(stack: RunningStack, tmp_path: Path) -> ProjectsCommand:
    environment = {
        "AWS_ENDPOINT_URL": stack.description["endpoint_url"],
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    return ProjectsCommand(tmp_path, environment)


@pytest.fixture
def large_project_id(stack: RunningStack) -> Iterator[str]:
    """Create a project of Alice with two files of 32 MiB each, and return its id."""
    owner: Client = stack.client("alice")
    project_id = owner.create("Large")
    for name in ("a.bin", "b.bin"):
        artifact = store_artifact(stack, project_id, f"models/{name}", uuid.uuid4().bytes * 2 * MIB)
        publish_event(stack, project_id, "Model", {"id": str(uuid.uuid4()), "name": name, "artifact": artifact})
    wait_until(lambda: len(owner.get(f"/api/projects/{project_id}/timeline")["events"]) == 2)
    yield project_id
    owner.delete(f"/api/projects/{project_id}")


def test_project_lifecycle(alice: ProjectsCommand, bob: ProjectsCommand) -> None:
    """Create, update, share and delete a project."""
    project_id = alice("create", "Attrition", "-d", "Who leaves?", "--json").json["project"]["id"]
    assert alice("update", project_id, "--name", "Attrition 2").code == 0
    project = alice("show", "attrition 2", "--json").json["project"]
    assert (project["id"], project["description"], project["role"]) == (project_id, "Who leaves?", "owner")
    assert alice("list", "--search", "attrition", "--sort", "name", "--order", "asc", "--json").json["total"] == 1

    hidden = bob("show", project_id)
    assert (hidden.code, "`projects list` shows yours" in hidden.err) == (5, True)
    assert alice("members", "add", project_id, "bob@example.com", "--role", "viewer").code == 0
    assert bob("update", project_id, "--name", "Mine").code == 4
    members = alice("members", "list", project_id).out.splitlines()
    assert [line.split("\t")[:3:2] for line in members] == [
        ["alice@example.com", "owner"],
        ["bob@example.com", "viewer"],
    ]
    assert bob("members", "leave", "Attrition 2", "--yes").code == 0
    assert bob("show", project_id).code == 5
    assert alice("members", "leave", project_id, "--yes").code == 6
    unknown = alice("members", "remove", project_id, str(uuid.uuid4()))
    assert (unknown.code, "`projects members list`" in unknown.err) == (5, True)
    assert alice("members", "add", project_id, "nobody@example.com").code == 5
    alice("members", "add", project_id, "bob@example.com")
    assert alice("members", "remove", project_id, "BOB@example.com", "--json").json == {"ok": True}

    assert alice("delete", project_id, "--yes").code == 0
    assert alice("show", project_id).code == 5


def test_export(alice: ProjectsCommand) -> None:
    """Show, export and list the exports of the demo project."""
    timeline = alice("timeline", "Card fraud", "--order", "desc").out.splitlines()
    assert [line.split("\t")[1] for line in timeline] == ["report", "model", "experiment", "dataset"]
    result = alice("export", "Card fraud", "--json")
    assert result.json["files"] == 3
    (export,) = alice("exports", "list", "Card fraud", "--limit", "1", "--json").json["items"]
    assert export["id"] == result.json["export"]["id"]
    assert "ready" in alice("exports", "show", "Card fraud", export["id"]).out
    assert "`projects export` starts" in alice("exports", "show", "Card fraud", str(uuid.uuid4())).err
    again = alice("export", "Card fraud", "--export", export["id"], "-o", "again.zip")
    assert again.code == 0
    assert (alice.folder / "again.zip").read_bytes() == (alice.folder / "Card fraud.zip").read_bytes()


def test_resume_after_kill(alice: ProjectsCommand, large_project_id: str) -> None:
    """The next run resumes the download of a killed program."""
    part = alice.folder / "large.zip.part"
    process = alice.start("export", large_project_id, "-o", "large.zip")
    while not part.exists() or not part.stat().st_size:
        assert process.is_running()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    size = part.stat().st_size
    assert not (alice.folder / "large.zip").exists()
    result = alice("export", large_project_id, "-o", "large.zip", "--json")
    assert (result.code, result.json["resumed_at"], result.json["files"]) == (0, size, 2)
    assert sorted(path.name for path in alice.folder.iterdir()) == ["large.zip"]


def test_operator_commands(alice: ProjectsCommand, operator: ProjectsCommand) -> None:
    """Register a user, and create and revoke API keys."""
    email = f"carol-{uuid.uuid4()}@example.com"
    assert operator("keys", "create", email).code == 5
    assert operator("users", "register", email, "--name", "Carol").code == 0
    key = operator("keys", "create", email, "--scope", "read", "--expires", "2999-01-01", "--json").json
    assert key["expires_at"] == "2999-01-01T00:00:00Z"
    carol = key["api_key"]
    assert alice("list", PROJECTS_API_KEY=carol).code == 0
    assert alice("create", "Mine", PROJECTS_API_KEY=carol).code == 4
    again = operator("users", "register", email, "--name", "Caroline")
    assert (again.code, again.err) == (0, f"{email} is already registered. The name remains 'Carol'.\n")
    assert operator("keys", "revoke", carol).code == 0  # the key itself, as found after a leak
    assert operator("keys", "revoke", key["key_id"]).code == 0
    assert alice("list", PROJECTS_API_KEY=carol).code == 3


def test_offboarding(alice: ProjectsCommand, operator: ProjectsCommand, stack: RunningStack) -> None:
    """An operator lists users and keys, deactivates a user, and transfers the user's project."""
    erin = stack.register_user("erin")
    project_id = alice("create", "Orphan", "--json", PROJECTS_API_KEY=erin.api_key).json["project"]["id"]
    users = operator("users", "list", "--json").json["items"]
    assert erin.email in [user["email"] for user in users]
    assert f"{erin.email}\tErin\t1\t" in operator("users", "list").out
    (line,) = operator("keys", "list", erin.email).out.splitlines()
    assert line.split("\t")[0] == erin.api_key.split("_")[1]
    deactivated = operator("users", "deactivate", erin.email, "--yes", "--json").json
    assert deactivated["owned_project_ids"] == [project_id]
    assert alice("list", PROJECTS_API_KEY=erin.api_key).code == 3
    assert "deactivated, which is final" in operator("users", "register", erin.email, "--name", "Erin").err
    assert "owner.name\tAlice" in operator("users", "transfer-project", project_id, "alice@example.com").out
    assert alice("show", project_id, "--json").json["project"]["role"] == "owner"
    assert operator("users", "transfer-project", "Orphan", "alice@example.com").code == 2
    assert alice("delete", project_id, "--yes").code == 0


def test_ownership_and_activity(alice: ProjectsCommand, bob: ProjectsCommand) -> None:
    """The owner transfers a project, and its admins see who did what."""
    project_id = alice("create", "Handed over", "--json").json["project"]["id"]
    assert alice("transfer", project_id, "bob@example.com", "--yes").code in {4, 5, 6}  # Bob is no member yet
    alice("members", "add", project_id, "bob@example.com", "--role", "viewer")
    assert alice("transfer", project_id, "bob@example.com", "--yes", "--json").json["project"]["role"] == "admin"
    actions = [line.split("\t")[2] for line in alice("activity", project_id).out.splitlines()]
    assert actions == ["project.transferred", "member.added", "project.created"]
    (added,) = bob("activity", project_id, "--action", "member.added", "--json").json["items"]
    assert added["after"]["role"] == "viewer"
    assert bob("delete", project_id, "--yes").code == 0


def test_login(alice: ProjectsCommand, stack: RunningStack) -> None:
    """A key is checked and saved, and the command then works without environment variables."""
    url, key = stack.description["base_url"], alice.environment["PROJECTS_API_KEY"]
    command = ProjectsCommand(alice.folder)
    assert "You are alice@example.com." in command("--api-url", url, "login", stdin=key).err
    assert "email\talice@example.com" in command("whoami").out
    assert command("--api-url", url, "--profile", "other", "login", stdin="prj_0123456789abcdef_wrong").code == 3
    assert command("--profile", "other", "whoami").code == 2
    assert command("logout").code == 0


def test_update_and_single_files(alice: ProjectsCommand, stack: RunningStack, large_project_id: str) -> None:
    """After a change, ``--update`` downloads the new file only; ``download`` and ``open`` read single files."""
    assert alice("export", large_project_id, "-o", "large.zip").code == 0
    artifact = store_artifact(stack, large_project_id, "datasets/c.csv", b"a,b\n" * 1000)
    publish_event(stack, large_project_id, "Dataset", {"id": str(uuid.uuid4()), "name": "c.csv", "artifact": artifact})
    wait_until(lambda: len(alice("timeline", large_project_id).out.splitlines()) == 3)
    updated = alice("export", large_project_id, "-o", "large.zip", "--update", "--json")
    assert updated.code == 0, updated.err
    assert updated.json["reused_bytes"] > 60 * MIB
    assert updated.json["downloaded_bytes"] < 4 * MIB
    assert alice("export", large_project_id, "-o", "whole.zip").code == 0
    assert (alice.folder / "whole.zip").read_bytes() == (alice.folder / "large.zip").read_bytes()
    files = alice("download", large_project_id, "--type", "dataset")
    assert (files.code, files.out) == (0, "datasets/c.csv\n")
    assert (alice.folder / "datasets" / "c.csv").read_bytes() == b"a,b\n" * 1000
    client = Library(stack.description["base_url"], alice.environment["PROJECTS_API_KEY"])
    with client.projects.get(large_project_id).open("models/a.bin") as file:
        file.seek(-16, io.SEEK_END)
        assert len(file.read()) == 16


def test_upload(alice: ProjectsCommand) -> None:
    """A file of two parts becomes a resource, which is listed, replaced, exported and deleted."""
    project_id = alice("create", "Uploads", "--json").json["project"]["id"]
    content = uuid.uuid4().bytes * (20 * MIB // 16)
    (alice.folder / "table.csv").write_bytes(content)
    uploaded = alice("upload", project_id, "table.csv", "--type", "dataset", "--field", "rows=100", "--json")
    assert uploaded.code == 0, uploaded.err
    resource_id = uploaded.json["resource"]["id"]
    assert "rows=100 file=table.csv" in alice("resources", "list", project_id).out
    shown = alice("resources", "show", project_id, resource_id, "--json").json["resource"]
    assert (shown["artifact"]["size_bytes"], shown["fields"]["rows"]) == (len(content), 100)
    (alice.folder / "table.csv").write_bytes(b"a,b\n")
    replaced = alice("upload", project_id, "table.csv", "--type", "dataset", "--replace", resource_id, "--json")
    assert replaced.json["resource"]["id"] == resource_id
    assert alice("download", project_id, "-o", ".", "--force").code == 0
    (downloaded,) = (alice.folder / "datasets").rglob("table.csv")
    assert downloaded.read_bytes() == b"a,b\n"
    assert alice("resources", "delete", project_id, resource_id, "--yes").code == 0
    assert alice("resources", "list", project_id).out == ""
    assert alice("delete", project_id, "--yes").code == 0


def test_copy(alice: ProjectsCommand, stack: RunningStack) -> None:
    """A copy has the same resources with the same files, and a project of one's own is left as it was."""
    exported = alice("export", "Card fraud", "-o", "original.zip")
    assert exported.code == 0, exported.err
    copied = alice("copy", "Card fraud", "--name", "Card fraud, copied", "--json")
    assert copied.code == 0, copied.err
    project = copied.json["project"]
    assert (project["name"], project["role"], project["dataset_count"]) == ("Card fraud, copied", "owner", 1)
    client = Library(stack.description["base_url"], alice.environment["PROJECTS_API_KEY"])
    files = [
        {path: archive.entries[path].crc32 for path in archive.entries if path != "manifest.json"}
        for archive in (client.projects.get(name).archive() for name in ("Card fraud", project["id"]))
    ]
    assert sorted(files[0].values()) == sorted(files[1].values())
    entries = alice("activity", project["id"]).out
    assert "project" in entries
    assert alice("delete", project["id"], "--yes").code == 0


def test_cancelled_export(alice: ProjectsCommand, stack: RunningStack, large_project_id: str) -> None:
    """A cancelled export stays cancelled, ends the wait for it, and the next export is another one."""
    client = Library(stack.description["base_url"], alice.environment["PROJECTS_API_KEY"])
    project = client.projects.get(large_project_id)
    for _ in range(10):  # the worker may be faster than the command
        export_id = project.start_export(fresh=True).id
        result = alice("exports", "cancel", large_project_id, export_id)
        if result.code == 0:
            break
        assert (result.code, "is ready" in result.err) == (6, True)
    assert result.code == 0
    assert alice("exports", "cancel", large_project_id, export_id).code == 0
    assert "cancelled" in alice("exports", "show", large_project_id, export_id).out
    waiting = alice("export", large_project_id, "-o", "large.zip", "--export", export_id)
    assert (waiting.code, "was cancelled" in waiting.err) == (8, True)
    assert list(alice.folder.iterdir()) == []
    again = alice("export", large_project_id, "-o", "large.zip", "--json")
    assert (again.code, again.json["files"]) == (0, 2)
    assert again.json["export"]["id"] != export_id


def test_fresh_export(alice: ProjectsCommand) -> None:
    """``--fresh`` creates another archive of the same state, with the same files."""
    first = alice("export", "Card fraud", "-o", "first.zip", "--json").json
    same = alice("export", "Card fraud", "-o", "same.zip", "--json").json
    assert same["export"]["id"] == first["export"]["id"]
    fresh = alice("export", "Card fraud", "-o", "fresh.zip", "--fresh", "--json")
    assert fresh.code == 0, fresh.err
    assert fresh.json["export"]["id"] != first["export"]["id"]
    assert fresh.json["files"] == first["files"]
    contradiction = alice("export", "Card fraud", "--fresh", "--export", first["export"]["id"])
    assert (contradiction.code, "Leave out --export" in contradiction.err) == (2, True)


def test_import(alice: ProjectsCommand, bob: ProjectsCommand) -> None:
    """Another user imports an exported archive, and copies the project. A rejected archive exits with its errors."""
    project_id = alice("create", "Moved", "--json").json["project"]["id"]
    content = uuid.uuid4().bytes * (20 * MIB // 16)
    (alice.folder / "table.csv").write_bytes(content)
    assert alice("upload", project_id, "table.csv", "--type", "dataset").code == 0
    assert alice("export", project_id, "-o", str(bob.folder / "moved.zip")).code == 0
    imported = bob("import", "moved.zip", "--name", "Restored", "--json")
    assert imported.code == 0, imported.err
    assert (imported.json["project"]["name"], imported.json["project"]["dataset_count"]) == ("Restored", 1)
    copied = bob("copy", imported.json["project"]["id"], "--name", "Twin", "--json")
    assert copied.code == 0, copied.err
    assert bob("download", copied.json["project"]["id"], "-o", ".").code == 0
    (downloaded,) = (bob.folder / "datasets").rglob("table.csv")
    assert downloaded.read_bytes() == content
    (bob.folder / "broken.zip").write_bytes((bob.folder / "moved.zip").read_bytes()[:-1])
    rejected = bob("import", "broken.zip")
    assert rejected.code == 8
    assert "This is not a ZIP archive, or it is incomplete" in rejected.err


def test_write_only_key(alice: ProjectsCommand, operator: ProjectsCommand) -> None:
    """A key without the read scope works with ids, and the error for a name says so."""
    key = operator("keys", "create", "bob@example.com", "--scope", "write", "--json").json["api_key"]
    project_id = alice("create", "Written", "--json", PROJECTS_API_KEY=key).json["project"]["id"]
    by_name = alice("update", "Written", "--name", "Rewritten", PROJECTS_API_KEY=key)
    assert by_name.code == 4
    assert by_name.err.endswith("Or give the project's id: looking up a name needs read access.\n")
    assert alice("update", project_id, "--name", "Rewritten", PROJECTS_API_KEY=key).code == 0
    assert alice("members", "add", project_id, "alice@example.com", PROJECTS_API_KEY=key).code == 0
    assert alice("delete", project_id, "--yes", PROJECTS_API_KEY=key).code == 4


def test_operator_errors(operator: ProjectsCommand) -> None:
    """Each error of an operator command has its exit code and a message."""
    invalid = operator("keys", "revoke", "xyz")
    assert (invalid.code, invalid.err) == (
        2, "Give the id of the key: the 16 hexadecimal digits between its first two '_'.\n"
    )  # fmt: skip
    assert "is not an email address" in operator("keys", "create", "no address").err
    assert operator("keys", "create", "nobody@example.com").err.endswith("or register them first.\n")
    assert operator("keys", "revoke", "0123456789abcdef").code == 5
    assert operator("users", "register", "a@example.com", "--name", "A", "--stack", "other").code == 5
    assert operator("keys", "revoke", "0123456789abcdef", AWS_DEFAULT_REGION="").code == 2
    assert operator("keys", "revoke", "0123456789abcdef", AWS_ENDPOINT_URL="foo").code == 2
    assert operator("keys", "revoke", "0123456789abcdef", AWS_PROFILE="nobody's").code == 3
    assert operator("keys", "revoke", "0123456789abcdef", AWS_SECRET_ACCESS_KEY="").code == 3
    assert (
        operator("users", "register", "a@example.com", "--name", "A", AWS_ENDPOINT_URL="http://127.0.0.1:9").code == 7
    )
