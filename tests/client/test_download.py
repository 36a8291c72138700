"""Tests of ``projects export``: a download ends with the whole archive, or with a part that the next run resumes."""

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.conftest import FILES
from tests.support.cli_process import PROGRAM, ProjectsCommand
from tests.support.fake_api import PROJECT, PROJECT_ID, FakeService, build_archive

MIB = 1 << 20


def export(projects: ProjectsCommand, *options: str) -> tuple[int, str]:
    result = projects("export", PROJECT_ID, "-o", "project.zip", *options)
    return result.code, result.err


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_for_part(part: Path, size: int) -> None:
    wait_until(lambda: part.exists() and part.stat().st_size >= size)


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_download(service: FakeService, projects: ProjectsCommand) -> None:
    """A complete download is checked, and then gets the name of the project."""
    result = projects("export", PROJECT_ID)
    assert (result.code, result.out) == (0, "Card fraud.zip\n")
    assert "2 files" in result.err
    assert "CRC-32" in result.err
    assert (projects.folder / "Card fraud.zip").read_bytes() == service.data
    assert list_names(projects.folder) == ["Card fraud.zip"]


def test_resume_after_broken_connection(service: FakeService, projects: ProjectsCommand) -> None:
    """Each further request asks for the missing bytes of the same object only."""
    service.break_offsets.extend([MIB, MIB])
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data
    ranges = [request.headers.get("Range") for request in service.downloads]
    assert ranges[0] is None
    starts = [int(str(byte_range).removeprefix("bytes=").rstrip("-")) for byte_range in ranges[1:]]
    assert 0 < starts[0] <= MIB < starts[1] <= 2 * MIB
    assert {request.headers["If-Match"] for request in service.downloads[1:]} == {'"one"'}


def test_resume_after_kill(service: FakeService, projects: ProjectsCommand) -> None:
    """The next run resumes the part of a killed program."""
    service.break_offsets.append(2 * MIB)
    service.stalls = True
    process = projects.start("export", PROJECT_ID, "-o", "project.zip")
    part = projects.folder / "project.zip.part"
    wait_for_part(part, MIB)
    process.send_signal(signal.SIGKILL)
    process.wait()
    size = part.stat().st_size
    assert not (projects.folder / "project.zip").exists()
    result = projects("export", PROJECT_ID, "-o", "project.zip", "--json")
    assert result.json["resumed_at"] == size
    assert service.downloads[-1].headers["Range"] == f"bytes={size}-"
    assert (projects.folder / "project.zip").read_bytes() == service.data
    assert list_names(projects.folder) == ["project.zip"]


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_during_download(service: FakeService, projects: ProjectsCommand, signal_number: int, code: int) -> None:
    """Ctrl-C and SIGTERM keep the part and say how to resume."""
    service.break_offsets.append(2 * MIB)
    service.stalls = True
    process = projects.start("export", PROJECT_ID, "-o", "project.zip")
    wait_for_part(projects.folder / "project.zip.part", 1)
    process.send_signal(signal_number)
    result = process.wait(20)
    assert result.code == code
    assert "resume from the end of project.zip.part" in result.err
    assert "Traceback" not in result.err
    assert list_names(projects.folder) == ["project.zip.part", "project.zip.part.json"]


def test_signal_before_first_byte(service: FakeService, projects: ProjectsCommand) -> None:
    """Ctrl-C before the first byte does not mention a part."""
    service.break_offsets.append(0)
    service.stalls = True
    process = projects.start("export", PROJECT_ID)
    wait_until(lambda: bool(service.downloads))
    (projects.folder / "Card fraud.zip.part").unlink(missing_ok=True)
    process.send_signal(signal.SIGINT)
    result = process.wait(20)
    assert result.code == 130
    assert "Nothing has been downloaded" in result.err


def test_signal_while_export_runs(
    service: FakeService, projects: ProjectsCommand, patient_projects: ProjectsCommand
) -> None:
    """Ctrl-C while the service creates the archive says that the service continues."""
    service.export = {"status": "running", "size_bytes": None}
    process = patient_projects.start("export", PROJECT_ID)
    wait_until(lambda: len(service.requests) >= 4)
    process.send_signal(signal.SIGINT)
    result = process.wait(20)
    assert result.code == 130
    assert "The service continues the export" in result.err


def test_notes_without_terminal(service: FakeService, patient_projects: ProjectsCommand) -> None:
    """Without a terminal, notes replace the progress bars."""
    running = {"id": service.export_id, "status": "running", "size_bytes": None, "error": None,
               "progress": {"bytes_done": 0, "bytes_total": 9, "files_done": 0, "files_total": 1}}  # fmt: skip
    service.responses.extend([(200, {"project": PROJECT}, {}), *[(202, {"export": running}, {})] * 6])
    code, err = export(patient_projects)
    assert code == 0
    assert err.splitlines()[:2] == ["Creating the export …", "Downloading 3.0 MiB …"]


def test_expired_url(service: FakeService, projects: ProjectsCommand) -> None:
    """A URL that expires before or during the download is signed again."""
    service.break_offsets.append(MIB)
    service.oldest_signature = service.signature_count + 2  # the response to POST has one URL, the download the next
    assert export(projects)[0] == 0
    service.requests.clear()
    (projects.folder / "project.zip").unlink()
    service.break_offsets.append(MIB)
    service.oldest_signature = service.signature_count + 3  # the download's first URL has already expired
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_part_of_another_export(service: FakeService, projects: ProjectsCommand) -> None:
    """A part of another export is downloaded from the beginning, with a note."""
    (projects.folder / "project.zip.part").write_bytes(b"something else")
    origin = {"export_id": str(uuid.uuid4()), "etag": '"zero"', "size": len(service.data)}
    (projects.folder / "project.zip.part.json").write_text(json.dumps(origin))
    code, err = export(projects)
    assert code == 0
    assert "belongs to another export" in err
    assert "Range" not in service.downloads[0].headers
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_replaced_object(service: FakeService, projects: ProjectsCommand) -> None:
    """An archive that was replaced since the last run is downloaded from the beginning."""
    service.break_offsets.extend([MIB, 0, 0, 0, 0])
    assert export(projects)[0] == 7
    service.etag = '"two"'
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data
    assert [request.headers.get("Range") for request in service.downloads][-1] is None


def test_storage_without_ranges(service: FakeService, projects: ProjectsCommand) -> None:
    """A response with the whole archive, instead of the requested range, replaces the part."""
    service.supports_range = False
    service.break_offsets.append(MIB)
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_storage_behind_a_proxy(service: FakeService, projects: ProjectsCommand) -> None:
    """A proxy may return less than the requested range, and need not know the size (RFC 9110, 14.4 and 15.3.7)."""
    service.max_range = MIB
    service.break_offsets.append(MIB // 2)
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data
    assert len(service.downloads) == 4


@pytest.mark.parametrize("retry_after", [None, "0", "-1", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"])
def test_storage_retry(service: FakeService, projects: ProjectsCommand, retry_after: str | None) -> None:
    """A download is retried when the storage returns 503, with any ``Retry-After``."""
    service.storage_errors.append((503, {"Retry-After": retry_after} if retry_after else {}))
    assert export(projects)[0] == 0


def test_old_part_is_removed_before_origin_is_written(service: FakeService, projects: ProjectsCommand) -> None:
    """The origin file of an archive never describes bytes of another one, even if the program ends in between."""
    part = projects.folder / "project.zip.part"
    part.write_bytes(b"something else")
    origin_file = projects.folder / "project.zip.part.json"
    origin_file.mkdir()  # a folder can't be written, which ends the program at this point
    assert export(projects)[0] == 1
    assert not part.exists()


def test_storage_stays_down(service: FakeService, projects: ProjectsCommand) -> None:
    """A storage that keeps failing ends the run, and keeps the part for the next one."""
    service.break_offsets.append(MIB)
    service.break_offsets.extend([0] * 4)
    code, err = export(projects)
    assert code == 7
    assert "Run the same command again to resume." in err
    assert list_names(projects.folder) == ["project.zip.part", "project.zip.part.json"]


def mark_as_encrypted(data: bytes) -> bytes:
    """Set the flag for encryption of the last file in the central directory (APPNOTE 4.4.4, bit 0)."""
    flags = data.rindex(b"PK\x01\x02") + 8
    return data[:flags] + b"\x01" + data[flags + 1 :]


def shift_directory(data: bytes) -> bytes:
    """Let the last record of an archive state an offset of the directory that is too large (APPNOTE 4.3.16)."""
    offset = int.from_bytes(data[-6:-2], "little") + 1
    return data[:-6] + offset.to_bytes(4, "little") + data[-2:]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (mark_as_encrypted(build_archive(FILES)), "encrypted"),
        (build_archive(FILES, crc32="00000000"), "CRC-32"),
        (build_archive(FILES, size=1), "the manifest states 1"),
        (build_archive(FILES).replace(b"# Report", b"# report"), "report.md"),
        (build_archive(FILES)[:-100], "damaged"),
        (shift_directory(build_archive(FILES)), "damaged"),
        (b"no archive at all", "damaged"),
    ],
    ids=["encrypted", "crc32", "size", "flipped", "short", "directory", "no-zip"],
)
def test_damaged_archive(service: FakeService, projects: ProjectsCommand, data: bytes, message: str) -> None:
    """An archive that does not match its manifest is removed, and never gets the file's name."""
    service.data = data
    code, err = export(projects)
    assert code == 9
    assert message in err
    assert list_names(projects.folder) == []


@pytest.mark.parametrize(
    ("output", "code", "message"),
    [("-", 2, "not '-'"), ("nowhere/a.zip", 1, "no folder nowhere"), ("nowhere/", 1, "no folder nowhere")],
)
def test_invalid_output(service: FakeService, projects: ProjectsCommand, output: str, code: int, message: str) -> None:
    """An output that can't be written is rejected before any request."""
    result = projects("export", PROJECT_ID, "-o", output)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert service.requests == []
    assert list_names(projects.folder) == []


def test_verify(service: FakeService, projects: ProjectsCommand) -> None:
    """``projects verify`` checks an archive without the API."""
    file = projects.folder / "a.zip"
    file.write_bytes(service.data)
    assert projects("verify", "a.zip", "--json", PROJECTS_API_URL="").json["files"] == 2
    file.write_bytes(service.data.replace(b"# Report", b"# report"))
    assert projects("verify", "a.zip").code == 9


def test_existing_file(service: FakeService, projects: ProjectsCommand) -> None:
    """Only ``--force`` replaces an existing file."""
    (projects.folder / "project.zip").write_text("mine")
    assert export(projects)[0] == 6
    assert (projects.folder / "project.zip").read_text() == "mine"
    assert service.downloads == []
    assert export(projects, "--force")[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_file_created_during_download(service: FakeService, projects: ProjectsCommand) -> None:
    """Only ``--force`` replaces a file that appears during the download, without another request."""
    service.break_offsets.append(MIB)
    service.stalls = True
    process = projects.start("export", PROJECT_ID, "-o", "project.zip")
    wait_for_part(projects.folder / "project.zip.part", MIB // 2)
    (projects.folder / "project.zip").write_text("mine")
    service.stalls = False
    service.resumed.set()
    result = process.wait(60)
    assert (result.code, "was created during the download" in result.err) == (6, True)
    assert (projects.folder / "project.zip").read_text() == "mine"
    download_count = len(service.downloads)
    assert export(projects, "--force")[0] == 0
    assert len(service.downloads) == download_count
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_foreign_part(service: FakeService, projects: ProjectsCommand) -> None:
    """Only ``--force`` replaces a file that has the name of the part, and that no download wrote."""
    part = projects.folder / "project.zip.part"
    part.write_text("mine")
    code, err = export(projects)
    assert (code, "was not written by an export" in err, part.read_text()) == (6, True, "mine")
    assert export(projects, "--force")[0] == 0
    assert list_names(projects.folder) == ["project.zip"]


def test_concurrent_exports(service: FakeService, projects: ProjectsCommand) -> None:
    """A second export to the same file is rejected, even with ``--force``."""
    service.break_offsets.append(MIB)
    service.stalls = True
    process = projects.start("export", PROJECT_ID, "-o", "project.zip")
    wait_for_part(projects.folder / "project.zip.part", MIB // 2)
    code, err = export(projects, "--force")
    assert (code, "Another export is writing project.zip" in err) == (6, True)
    service.stalls = False
    service.resumed.set()
    assert process.wait(60).code == 0
    assert list_names(projects.folder) == ["project.zip"]


@pytest.mark.parametrize("etag", [5, "a\nb", "é\u2028", [[]], '"zero"'])
def test_edited_origin_file(service: FakeService, projects: ProjectsCommand, etag: object) -> None:
    """An origin file with an invalid or a wrong ETag does not break the download."""
    (projects.folder / "project.zip.part").write_bytes(service.data[:MIB])
    origin = {"export_id": service.export_id, "etag": etag, "size": len(service.data)}
    (projects.folder / "project.zip.part.json").write_text(json.dumps(origin))
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_output_is_not_a_file(service: FakeService, projects: ProjectsCommand) -> None:
    """A pipe or a folder at the place of the file is not replaced, even with ``--force``."""
    os.mkfifo(projects.folder / "pipe")
    (projects.folder / "folder" / "Card fraud.zip").mkdir(parents=True)
    for name in ("pipe", "folder"):
        result = projects("export", PROJECT_ID, "-o", name, "--force")
        assert (result.code, "not a file" in result.err) == (6, True)
    assert service.downloads == []
    assert list_names(projects.folder) == ["folder", "pipe"]


def test_long_names(service: FakeService, projects: ProjectsCommand) -> None:
    """A long project name is cut to leave room for ``.part.json``; a long output name is an error."""
    service.responses.append((200, {"project": PROJECT | {"name": "가" * 200}}, {}))
    result = projects.run("export", PROJECT_ID, PYTHONIOENCODING="ascii")
    assert (result.code, result.out) == (0, f"{'가' * 66}.zip\n")
    assert list_names(projects.folder) == [f"{'가' * 66}.zip"]
    long_name = f"{'n' * 250}.zip"
    request_count = len(service.requests)
    result = projects("export", PROJECT_ID, "-o", long_name)
    assert (result.code, "name too long" in result.err) == (1, True)
    assert len(service.requests) == request_count + 1


def test_full_disk(service: FakeService, projects: ProjectsCommand) -> None:
    """A failed write names the part, and the next run resumes."""
    small = projects.folder / "small"
    small.mkdir()
    command = f"ulimit -f 1024; trap '' XFSZ; exec {PROGRAM} export {PROJECT_ID} -o small/"
    process = subprocess.run(["bash", "-c", command], cwd=projects.folder, env=os.environ | projects.environment,
                             capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    message = "zip.part: File too large. Run the same command again"
    assert (process.returncode, message in process.stderr) == (1, True)
    assert export(ProjectsCommand(small, projects.environment), "-o", "Card fraud.zip")[0] == 0
    assert "Range" in service.downloads[-1].headers


def test_failed_export(service: FakeService, projects: ProjectsCommand) -> None:
    """A failed export ends with the service's reason."""
    service.export = {"status": "failed", "error": "models/m.bin changed while it was read."}
    code, err = export(projects)
    assert code == 8
    assert "models/m.bin changed while it was read." in err


def test_running_export(service: FakeService, projects: ProjectsCommand) -> None:
    """The command waits until a running export is ready."""
    running = {"id": service.export_id, "status": "running", "size_bytes": None, "error": None,
               "progress": {"bytes_done": 0, "bytes_total": 9, "files_done": 0, "files_total": 1}}  # fmt: skip
    service.responses.extend(
        [(200, {"project": PROJECT}, {}), (202, {"export": running}, {}), (200, {"export": running}, {})]
    )
    assert export(projects)[0] == 0
