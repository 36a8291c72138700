"""Tests of ``projects upload`` and ``projects import``: parallel parts, resumption, and checks of every part."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from projects_client.upload import MAX_PARTS, choose_part_size
from tests.client.test_download import wait_until
from tests.support.cli_process import ProjectsCommand
from tests.support.fake_api import PROJECT, PROJECT_ID, FakeService

MIB = 1 << 20
CONTENT = random.Random(5).randbytes(2 * MIB + 11)


@pytest.fixture
def file(service: FakeService, projects: ProjectsCommand) -> Path:
    """Return a file of three parts."""
    service.part_size = MIB
    path = projects.folder / "table.csv"
    path.write_bytes(CONTENT)
    return path


def upload(projects: ProjectsCommand, *options: str) -> tuple[int, str]:
    result = projects("upload", PROJECT_ID, "table.csv", "--type", "dataset", *options)
    return result.code, result.err


def test_upload(service: FakeService, projects: ProjectsCommand, file: Path) -> None:
    """A file of several parts is sent in parallel, and recorded with its fields."""
    result = projects(
        "upload", PROJECT_ID, "table.csv", "--type", "dataset", "--field", "rows=100", "--field", "note=a=b",
        "--field", "tags=[1, 2]", "--name", "Transactions", "--json",
    )  # fmt: skip
    assert result.code == 0, result.err
    resource = result.json["resource"]
    assert resource["fields"] == {"rows": 100, "note": "a=b", "tags": [1, 2]}
    assert (resource["type"], resource["name"]) == ("dataset", "Transactions")
    assert resource["artifact"] == {"file_name": "table.csv", "size_bytes": len(CONTENT), "content_type": "text/csv"}
    (sent,) = service.uploads.values()
    assert sent.content == CONTENT
    assert sorted(service.part_numbers) == [1, 2, 3]
    body = next(request.body for request in service.requests if request.path.endswith("/resources"))
    assert body["part_size_bytes"] == choose_part_size(len(CONTENT))
    assert list_states(projects) == []
    assert sorted(path.name for path in projects.folder.iterdir() if not path.name.startswith(".")) == ["table.csv"]


def list_states(projects: ProjectsCommand) -> list[Path]:
    return list((projects.folder / ".cache" / "projects-client" / "uploads").glob("*"))


def test_empty_file(service: FakeService, projects: ProjectsCommand, file: Path) -> None:
    file.write_bytes(b"")
    assert upload(projects)[0] == 0
    (sent,) = service.uploads.values()
    assert sent.content == b""


def test_upload_after_kill(
    service: FakeService, projects: ProjectsCommand, patient_projects: ProjectsCommand, file: Path
) -> None:
    """The next run sends only the parts that are missing, and the state is not next to the file."""
    service.part_errors.extend([200] * 2 + [503] * 100)
    process = patient_projects.start("upload", PROJECT_ID, "table.csv", "--type", "dataset")
    wait_until(lambda: len(service.part_numbers) >= 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = {number for each in service.uploads.values() for number in each.parts}
    assert stored
    assert sorted(path.name for path in projects.folder.iterdir() if not path.name.startswith(".")) == ["table.csv"]
    service.part_errors.clear()
    service.part_numbers.clear()
    code, err = upload(projects)
    assert (code, "Resuming the upload" in err) == (0, True)
    assert not stored & set(service.part_numbers)
    (sent,) = service.uploads.values()
    assert sent.content == CONTENT
    assert list_states(projects) == []


def test_interrupted_upload(
    service: FakeService, projects: ProjectsCommand, patient_projects: ProjectsCommand, file: Path
) -> None:
    """Ctrl-C says how to resume, and does not wait for the pauses before further attempts."""
    service.part_errors.extend([503] * 1000)
    process = patient_projects.start("upload", PROJECT_ID, "table.csv", "--type", "dataset")
    wait_until(lambda: bool(service.part_numbers))
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    result = process.wait(30)
    assert time.monotonic() - start < 3
    assert result.code == 130
    assert "resume the upload" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(("statuses", "code"), [([503, 0, 500], 0), ([403, 403], 0), ([503] * 40, 7)])
def test_part_errors(
    service: FakeService, projects: ProjectsCommand, file: Path, statuses: list[int], code: int
) -> None:
    """Failed parts, parts with a wrong ETag and expired URLs are sent again; a storage that stays down ends the run."""
    service.part_errors.extend(statuses)
    assert upload(projects)[0] == code
    if code == 0:
        (sent,) = service.uploads.values()
        assert sent.content == CONTENT
    else:
        service.part_errors.clear()
        assert upload(projects)[0] == 0


def test_lost_part(service: FakeService, projects: ProjectsCommand, file: Path) -> None:
    """A part that the service misses at the completion is sent again."""
    service.lost_parts = {2, 3}
    service.assembling = 2
    assert upload(projects)[0] == 0
    (sent,) = service.uploads.values()
    assert sent.content == CONTENT


def test_changed_file(
    service: FakeService, projects: ProjectsCommand, patient_projects: ProjectsCommand, file: Path
) -> None:
    """An upload of another version of the file is not resumed."""
    service.part_errors.extend([200, 503, 503, 503] * 20)
    process = patient_projects.start("upload", PROJECT_ID, "table.csv", "--type", "dataset")
    wait_until(lambda: len(service.part_numbers) >= 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    service.part_errors.clear()
    content = CONTENT[:-1] + b"x"
    file.write_bytes(content)
    os.utime(file, (1, 1))
    assert upload(projects)[0] == 0
    assert [each.content for each in service.uploads.values()][-1] == content


def test_aborted_upload(
    service: FakeService, projects: ProjectsCommand, patient_projects: ProjectsCommand, file: Path
) -> None:
    """An upload that the service no longer knows is started again."""
    service.part_errors.extend([503] * 100)
    process = patient_projects.start("upload", PROJECT_ID, "table.csv", "--type", "dataset")
    wait_until(lambda: bool(service.part_numbers))
    process.send_signal(signal.SIGKILL)
    process.wait()
    service.part_errors.clear()
    service.uploads.clear()
    assert upload(projects)[0] == 0


def test_without_cache_folder(service: FakeService, projects: ProjectsCommand, file: Path) -> None:
    """Without a cache folder, an upload works."""
    (projects.folder / ".cache").write_text("a file")
    assert upload(projects)[0] == 0


def test_lost_response_to_start(service: FakeService, projects: ProjectsCommand, file: Path) -> None:
    """A start whose response was lost is repeated with the same idempotency key, also by the next run."""
    service.responses.extend([(200, {"project": PROJECT}, {}), *[(504, b"", {})] * 5])
    assert upload(projects)[0] == 7
    assert upload(projects)[0] == 0
    keys = {each.headers["Idempotency-Key"] for each in service.requests if each.path.endswith("/resources")}
    assert len(keys) == 1
    assert upload(projects)[0] == 0
    keys = {each.headers["Idempotency-Key"] for each in service.requests if each.path.endswith("/resources")}
    assert len(keys) == 2


@pytest.mark.parametrize("field", ["rows", "=1", " =1"])
def test_invalid_field(service: FakeService, projects: ProjectsCommand, file: Path, field: str) -> None:
    code, err = upload(projects, "--field", field)
    assert (code, "--field NAME=VALUE" in err) == (2, True)
    assert all(request.method == "GET" for request in service.requests)


def test_field_that_only_starts_like_json(projects: ProjectsCommand, file: Path) -> None:
    """A value that is no JSON is a text, even if it would nest deeper than any JSON reader follows."""
    assert upload(projects, "--field", "note=" + "[" * 100_000)[0] == 0


@pytest.mark.parametrize("size", [0, 1, 5 << 30, 5 << 40])
def test_part_size(size: int) -> None:
    """Files up to S3's 5 TiB fit into the number of parts that S3 allows."""
    part_size = choose_part_size(size)
    assert 5 * MIB <= part_size <= 5 << 30
    assert -(-size // part_size) <= MAX_PARTS


def test_import(service: FakeService, projects: ProjectsCommand) -> None:
    """An import uploads the archive, waits, and shows the new project."""
    (projects.folder / "a.zip").write_bytes(service.data)
    service.imports.extend([{"status": "running", "project_id": None}, {"status": "ready"}])
    result = projects("import", "a.zip", "--name", "Copy", "--members", "match", "--json")
    assert result.code == 0, result.err
    assert result.json["project"]["id"] == PROJECT_ID
    (sent,) = service.uploads.values()
    assert sent.content == service.data
    body = next(request.body for request in service.requests if request.path == "/api/imports")
    assert (body["name"], body["members"], body["size_bytes"]) == ("Copy", "match", len(service.data))


def test_rejected_import(service: FakeService, projects: ProjectsCommand) -> None:
    """An archive that the service rejects ends with the first errors."""
    (projects.folder / "a.zip").write_bytes(b"nothing")
    errors = [f"datasets/{number} is not named in the manifest." for number in range(9)]
    service.imports.append({"status": "failed", "project_id": None, "errors": errors, "error_count": 120})
    result = projects("import", "a.zip")
    assert result.code == 8
    assert "datasets/0 is not named" in result.err
    assert "And 115 more." in result.err
    shown = projects("imports", "show", PROJECT_ID)
    assert "error 9\tdatasets/8" in shown.out


def test_copy(service: FakeService, projects: ProjectsCommand) -> None:
    service.imports.append({})
    assert projects("copy", PROJECT_ID, "--name", "Twin").code == 0
    body = next(request.body for request in service.requests if request.path == "/api/imports")
    assert body == {"project_id": PROJECT_ID, "export_id": service.export_id, "members": "none", "name": "Twin"}


def test_state_has_no_secret(
    service: FakeService, projects: ProjectsCommand, patient_projects: ProjectsCommand, file: Path
) -> None:
    """The state of an upload has neither the key nor a signed URL."""
    service.part_errors.extend([503] * 100)
    process = patient_projects.start("upload", PROJECT_ID, "table.csv", "--type", "dataset")
    wait_until(lambda: bool(service.part_numbers))
    process.send_signal(signal.SIGKILL)
    process.wait()
    (state,) = list_states(projects)
    content = state.read_text()
    assert json.loads(content)["upload"]["id"] in service.uploads
    assert "signature" not in content
    assert "secret" not in content
