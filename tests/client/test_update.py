"""Tests of ``projects export --update``: the same archive, byte for byte, from fewer bytes."""

import json
import random
import signal
import uuid
import zipfile
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from projects_client import Client, ConflictError
from projects_client.download import Download, find_reuse
from projects_client.project import Project
from projects_client.zip_directory import ZipEntry, read_directory
from tests.client.conftest import KEY
from tests.client.test_download import wait_for_part
from tests.support.cli_process import ProjectsCommand
from tests.support.fake_api import PROJECT_ID, FakeService, build_archive

MIB = 1 << 20
FILES = {f"datasets/{number}/{'x' * number}.bin": random.Random(number).randbytes(MIB) for number in range(6)}
CHANGED = FILES | {"datasets/2/xx.bin": random.Random(9).randbytes(MIB + 17), "reports/new.md": b"# New\n" * 100}


def read_entries(archive: bytes) -> dict[str, ZipEntry]:
    return read_directory(len(archive), lambda start, stop: archive[start:stop])


def update(projects: ProjectsCommand, *options: str) -> dict[str, int]:
    result = projects("export", PROJECT_ID, "-o", "project.zip", "--update", "--json", *options)
    assert result.code == 0, result.err
    values: dict[str, int] = result.json
    return values


@pytest.fixture
def archive(service: FakeService, projects: ProjectsCommand) -> Path:
    """Return an older archive; the service has a newer one."""
    file = projects.folder / "project.zip"
    file.write_bytes(build_archive(FILES))
    service.data = build_archive(CHANGED)
    service.export = {"crc32": f"{zlib.crc32(service.data):08x}"}
    return file


@pytest.fixture
def project(service: FakeService) -> Project:
    return Client(service.url, KEY).projects.get(PROJECT_ID)


def test_update(service: FakeService, projects: ProjectsCommand, archive: Path) -> None:
    """Unchanged entries come from the old archive, and the rest in few requests."""
    values = update(projects)
    assert archive.read_bytes() == service.data
    assert values["reused_bytes"] > 5 * MIB
    assert values["downloaded_bytes"] < 2 * MIB
    assert len(service.downloads) <= 5
    assert [path.name for path in projects.folder.iterdir() if "part" in path.name] == []


def test_update_without_change(service: FakeService, projects: ProjectsCommand, archive: Path) -> None:
    service.data = archive.read_bytes()
    service.export = {}
    values = update(projects)
    assert archive.read_bytes() == service.data
    assert values["downloaded_bytes"] < MIB


def test_update_of_nothing(service: FakeService, projects: ProjectsCommand, archive: Path) -> None:
    """Without an older archive, ``--update`` is an ordinary download."""
    archive.unlink()
    assert update(projects)["reused_bytes"] == 0
    assert archive.read_bytes() == service.data


@pytest.mark.parametrize("content", [b"", b"notes, not an archive", b"PK\x05\x06" + bytes(18)])
def test_update_of_something_else(
    service: FakeService, projects: ProjectsCommand, archive: Path, content: bytes
) -> None:
    """A file that is no archive is replaced only when the whole new archive is complete."""
    archive.write_bytes(content)
    assert update(projects)["reused_bytes"] == 0
    assert archive.read_bytes() == service.data


@pytest.mark.parametrize(("project_id", "is_same"), [(PROJECT_ID, True), (str(uuid.UUID(int=2)), False)])
def test_archive_of_another_project(
    service: FakeService, archive: Path, project: Project, project_id: str, *, is_same: bool
) -> None:
    """An update replaces the archive of another project, such as one with the same name, by ``force`` only."""
    with zipfile.ZipFile(archive, "w") as older:
        older.writestr("manifest.json", json.dumps({"project": {"id": project_id}}))
    with nullcontext() if is_same else pytest.raises(ConflictError, match="of another project"):
        project.export(archive, update=True)
    assert bool(service.downloads) is is_same
    project.export(archive, update=True, force=True)
    assert archive.read_bytes() == service.data


def test_damaged_old_archive(service: FakeService, projects: ProjectsCommand, archive: Path) -> None:
    """A bit that flipped in the old archive is found, and the new archive is downloaded as a whole."""
    content = bytearray(archive.read_bytes())
    content[9 * MIB // 2] ^= 1
    archive.write_bytes(content)
    result = projects("export", PROJECT_ID, "-o", "project.zip", "--update")
    assert result.code == 0
    assert "downloaded as a whole" in result.err
    assert result.err.count("Updating") == 1
    assert archive.read_bytes() == service.data


def test_other_header_of_same_file(service: FakeService, projects: ProjectsCommand, archive: Path) -> None:
    """Bytes that no CRC-32 of a file covers, such as a header, are compared by the CRC-32 of the whole archive."""
    content = bytearray(archive.read_bytes())
    header = content.index(b"PK\x03\x04", 1000)
    content[header + 4] ^= 1  # the version that is needed to extract, which only the local header has changed
    archive.write_bytes(content)
    assert projects("export", PROJECT_ID, "-o", "project.zip", "--update").code == 0
    assert archive.read_bytes() == service.data


def test_killed_update(service: FakeService, projects: ProjectsCommand, archive: Path) -> None:
    """A killed update leaves the old archive, and the next run resumes."""
    before = archive.read_bytes()
    service.stalls = True
    service.break_offsets.extend([None, None, 600 << 10])
    process = projects.start("export", PROJECT_ID, "-o", "project.zip", "--update")
    part = projects.folder / "project.zip.part"
    wait_for_part(part, 2 * MIB + (300 << 10))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert archive.read_bytes() == before
    service.stalls = False
    service.break_offsets.clear()
    service.resumed.set()
    assert update(projects)["resumed_at"] > 0
    assert archive.read_bytes() == service.data


def test_replaced_during_update(service: FakeService, projects: ProjectsCommand, archive: Path) -> None:
    """An archive in the storage that is replaced during the update is downloaded from the beginning."""
    service.break_offsets.extend([None, None, 600 << 10])
    service.stalls = True
    process = projects.start("export", PROJECT_ID, "-o", "project.zip", "--update")
    part = projects.folder / "project.zip.part"
    wait_for_part(part, 2 * MIB + (300 << 10))
    service.etag, service.stalls = '"two"', False
    service.resumed.set()
    result = process.wait(60)
    assert result.code == 0, result.err
    assert archive.read_bytes() == service.data


def test_other_header_is_copied_before_an_interruption(
    service: FakeService, archive: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CRC-32 of the whole archive is also compared if an earlier run has reused the bytes."""
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x03\x04", 1000) + 4] ^= 1
    archive.write_bytes(content)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    append = Download._append_downloaded
    monkeypatch.setattr(
        Download,
        "_append_downloaded",
        lambda download, chunk: interrupt() if download.reused_bytes > 4 * MIB else append(download, chunk),
    )
    with pytest.raises(KeyboardInterrupt):
        project.export(archive, update=True)
    monkeypatch.undo()
    project.export(archive, update=True)
    assert archive.read_bytes() == service.data


def remove(archive: Path) -> None:
    archive.unlink()


def overwrite(archive: Path) -> None:
    archive.write_bytes(bytes(archive.stat().st_size))


@pytest.mark.parametrize("lose", [remove, overwrite])
def test_old_archive_is_lost_during_update(
    service: FakeService,
    archive: Path,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    lose: Callable[[Path], None],
) -> None:
    copy = Download._copy

    def lose_and_copy(download: Download, *arguments: Any) -> None:
        lose(archive)
        copy(download, *arguments)

    monkeypatch.setattr(Download, "_copy", lose_and_copy)
    project.export(archive, update=True)
    assert archive.read_bytes() == service.data


def test_link_and_mode(service: FakeService, archive: Path, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link stays a link, and a file that others may not read stays one, as does its part."""
    (archive.parent / "data").mkdir()
    file = archive.rename(archive.parent / "data" / "old.zip")
    file.chmod(0o400)
    archive.symlink_to(file)
    finish = Download.finish
    part_modes: list[int] = []

    def record_mode_and_finish(download: Download) -> None:
        part_modes.append(download.part.stat().st_mode & 0o777)
        finish(download)

    monkeypatch.setattr(Download, "finish", record_mode_and_finish)
    assert project.export(archive, force=True).path == file
    assert archive.is_symlink()
    assert file.read_bytes() == service.data
    assert (part_modes, file.stat().st_mode & 0o777) == ([0o600], 0o400)


def test_every_second_file_was_deleted() -> None:
    """Small entries that follow one another in the new archive are reused, even if they do not in the old one."""
    files = {f"datasets/{number}.csv": bytes([number]) * (20 << 10) for number in range(60)}
    old = build_archive(files)
    new = build_archive(dict(list(files.items())[1::2]))
    reuse = find_reuse(read_entries(old), read_entries(new))
    assert len(reuse) == 30
    assert all(old[each.source :][: each.stop - each.start] == new[each.start : each.stop] for each in reuse)


def test_other_time_is_no_reuse() -> None:
    """An entry whose time differs is another entry, although its content is the same."""
    old = build_archive(FILES)
    directory = read_entries(old)
    assert len(find_reuse(directory, directory)) == 1
    changed = dict(directory)
    path = "datasets/2/xx.bin"
    entry = directory[path]
    identity = (*entry.identity[:4], -1, *entry.identity[5:])
    changed[path] = type(entry)(**{**entry.__dict__, "identity": identity})
    assert len(find_reuse(directory, changed)) == 2
