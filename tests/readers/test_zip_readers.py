"""Archives in the common ZIP readers, also archives that need ZIP64. `make test-readers` runs these tests."""

import os
import subprocess
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from projects_api.archive.crc32 import combine_crc32
from projects_api.archive.export_paths import unique_paths
from projects_api.archive.parts import Directory, Header, Range
from projects_api.archive.plan import plan
from projects_api.archive.zip_writer import Entry, encode_directory, local_header
from tests.support.plans import list_segments

MODIFIED = datetime(2026, 2, 10, 9, 0, 2, tzinfo=UTC)
GIB = 1 << 30

NAMES = [
    "manifest.json",
    "datasets/Größe 1/daten – ü.csv",
    "models/模型.bin",
    "../../escaped.txt",
    "/absolute.txt",
    "windows\\path.txt",
    "😀" * 75 + ".md",
    "A.txt",
    "a.txt",
    "con",
    "bell\x07.txt",
    "empty",
]


def write_archive(entries: list[Entry], contents: Callable[[int], bytes | None], archive: Path) -> Path:
    """Write an archive.

    Args:
        entries: The entries.
        contents: Returns the content of an entry by its index, or None for zeros, which the file leaves as a hole.
        archive: The file to write.

    Returns:
        The file.
    """
    with archive.open("wb") as file:
        for part in plan(entries).parts:
            for segment in list_segments(part):
                if isinstance(segment, Header):
                    file.write(local_header(entries[segment.index]))
                elif isinstance(segment, Directory):
                    file.write(encode_directory(entries)[segment.start : segment.start + segment.size])
                elif isinstance(segment, Range):
                    if (content := contents(segment.index)) is None:
                        file.seek(segment.size, os.SEEK_CUR)
                    else:
                        file.write(content[segment.start : segment.start + segment.size])
    return archive


def compute_crc32_of_zeros(size: int) -> int:
    checksum, block = 0, bytes(1 << 20)
    for _ in range(size >> 20):
        checksum = combine_crc32(checksum, zlib.crc32(block), len(block))
    remainder = size % len(block)
    return combine_crc32(checksum, zlib.crc32(bytes(remainder)), remainder)


@pytest.fixture(scope="module")
def large_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an archive with an entry over 4 GiB, an offset over 4 GiB, and more than 65,535 entries."""
    size = 4 * GIB + 5
    entries = [Entry("manifest.json", 2, zlib.crc32(b"{}"), MODIFIED)]
    entries.append(Entry("models/large.bin", size, compute_crc32_of_zeros(size), MODIFIED))
    entries += [Entry(f"empty/{number:05}", 0, 0, MODIFIED) for number in range(65_600)]
    entries.append(Entry("last.txt", 5, zlib.crc32(b"found"), MODIFIED))
    contents = {0: b"{}", len(entries) - 1: b"found"}
    return write_archive(entries, contents.get, tmp_path_factory.mktemp("large") / "large.zip")


@pytest.fixture(scope="module")
def archive_of_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an archive of files with every kind of name."""
    paths = unique_paths(NAMES)
    bodies = [b"" if name == "empty" else name.encode() * 1000 for name in NAMES]
    entries = [Entry(path, len(body), zlib.crc32(body), MODIFIED) for path, body in zip(paths, bodies, strict=True)]
    return write_archive(entries, bodies.__getitem__, tmp_path_factory.mktemp("named") / "named.zip")


#: Commands that verify every checksum of an archive.
VERIFIERS = {
    "python": ["python3", "-c", "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip())"],
    "unzip": ["unzip", "-tqq"],
    "7z": ["7z", "t", "-bd"],
    "bsdtar": ["bsdtar", "-xOf"],
}

#: Commands that unpack an archive into the current folder.
UNPACKERS = {
    "python": ["python3", "-m", "zipfile", "-e"],
    "unzip": ["unzip", "-qq"],
    "7z": ["7z", "x", "-bd"],
    "bsdtar": ["bsdtar", "-xf"],
    "jar": ["jar", "xf"],
}


def run_command(command: list[str], folder: Path) -> bytes:
    environment = os.environ | {"LC_ALL": "C.UTF-8", "JAVA_TOOL_OPTIONS": ""}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-2000:] + result.stdout[-2000:]
    return result.stdout


@pytest.mark.parametrize("reader", VERIFIERS)
def test_verify_large_archive(large_archive: Path, reader: str, tmp_path: Path) -> None:
    run_command([*VERIFIERS[reader], str(large_archive)], tmp_path)


def test_java_lists_large_archive(large_archive: Path, tmp_path: Path) -> None:
    listed = run_command(["jar", "tf", str(large_archive)], tmp_path).split()
    assert len(listed) == 65_603
    run_command(["jar", "xf", str(large_archive), "last.txt", "manifest.json"], tmp_path)
    assert (tmp_path / "last.txt").read_bytes() == b"found"


@pytest.mark.parametrize("reader", UNPACKERS)
def test_unpack_names(archive_of_names: Path, reader: str, tmp_path: Path) -> None:
    """Every file is unpacked inside the folder, under its path in the archive."""
    folder = tmp_path / "inside"
    folder.mkdir()
    if reader == "python":
        run_command([*UNPACKERS[reader], str(archive_of_names), "."], folder)
    else:
        run_command([*UNPACKERS[reader], str(archive_of_names)], folder)
    expected = {
        path: b"" if name == "empty" else name.encode() * 1000
        for path, name in zip(unique_paths(NAMES), NAMES, strict=True)
    }
    unpacked = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert unpacked == expected
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Tokyo", "America/St_Johns"])
@pytest.mark.parametrize("reader", ["unzip", "7z", "bsdtar", "jar"])
def test_file_times_in_every_time_zone(
    archive_of_names: Path, reader: str, time_zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", time_zone)
    run_command([*UNPACKERS[reader], str(archive_of_names)], tmp_path)
    assert (tmp_path / "A.txt").stat().st_mtime == MODIFIED.timestamp()
