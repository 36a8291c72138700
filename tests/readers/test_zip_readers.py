"""Archives open in every reader that people use, those that take ZIP64 too. `make test-readers` runs it."""

import os
import subprocess
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from projects_api.archive.crc32 import combine_crc32
from projects_api.archive.paths import unique_paths
from projects_api.archive.plan import Copy, Directory, Header, directory, plan
from projects_api.archive.zip_writer import Entry, local_header

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


def written(entries: list[Entry], contents: Callable[[int], bytes | None], archive: Path) -> Path:
    """The archive of ``entries`` as a file; what has no contents is zeros, which take no room on the disk."""
    with archive.open("wb") as file:
        for part in plan(entries).parts:
            for segment in [part.range] if isinstance(part, Copy) else part.segments:
                if isinstance(segment, Header):
                    file.write(local_header(entries[segment.index]))
                elif isinstance(segment, Directory):
                    file.write(directory(entries)[segment.start : segment.start + segment.size])
                elif (content := contents(segment.index)) is None:
                    file.seek(segment.size, os.SEEK_CUR)
                else:
                    file.write(content[segment.start : segment.start + segment.size])
    return archive


def crc32_of_zeros(size: int) -> int:
    checksum, block = 0, bytes(1 << 20)
    for _ in range(size >> 20):
        checksum = combine_crc32(checksum, zlib.crc32(block), len(block))
    rest = size % len(block)
    return combine_crc32(checksum, zlib.crc32(bytes(rest)), rest)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An entry over 4 GiB, an offset over 4 GiB, and over 65,535 entries."""
    size = 4 * GIB + 5
    entries = [Entry("manifest.json", 2, zlib.crc32(b"{}"), MODIFIED)]
    entries.append(Entry("models/large.bin", size, crc32_of_zeros(size), MODIFIED))
    entries += [Entry(f"empty/{number:05}", 0, 0, MODIFIED) for number in range(65_600)]
    entries.append(Entry("last.txt", 5, zlib.crc32(b"found"), MODIFIED))
    known = {0: b"{}", len(entries) - 1: b"found"}
    return written(entries, known.get, tmp_path_factory.mktemp("large") / "large.zip")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of files with every kind of name."""
    paths = unique_paths(NAMES)
    bodies = [b"" if name == "empty" else name.encode() * 1000 for name in NAMES]
    entries = [Entry(path, len(body), zlib.crc32(body), MODIFIED) for path, body in zip(paths, bodies, strict=True)]
    return written(entries, bodies.__getitem__, tmp_path_factory.mktemp("named") / "named.zip")


#: What verifies every checksum of an archive.
VERIFIERS = {
    "python": ["python3", "-c", "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip())"],
    "unzip": ["unzip", "-tqq"],
    "7z": ["7z", "t", "-bd"],
    "bsdtar": ["bsdtar", "-xOf"],
}

#: What unpacks an archive into the folder it is called in.
UNPACKERS = {
    "python": ["python3", "-m", "zipfile", "-e"],
    "unzip": ["unzip", "-qq"],
    "7z": ["7z", "x", "-bd"],
    "bsdtar": ["bsdtar", "-xf"],
    "jar": ["jar", "xf"],
}


def ran(command: list[str], folder: Path) -> bytes:
    environment = os.environ | {"LC_ALL": "C.UTF-8", "JAVA_TOOL_OPTIONS": ""}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    return done.stdout


@pytest.mark.parametrize("reader", VERIFIERS)
def test_a_large_archive_verifies(large: Path, reader: str, tmp_path: Path) -> None:
    ran([*VERIFIERS[reader], str(large)], tmp_path)


def test_java_finds_every_entry_of_a_large_archive(large: Path, tmp_path: Path) -> None:
    listed = ran(["jar", "tf", str(large)], tmp_path).split()
    assert len(listed) == 65_603
    ran(["jar", "xf", str(large), "last.txt", "manifest.json"], tmp_path)
    assert (tmp_path / "last.txt").read_bytes() == b"found"


@pytest.mark.parametrize("reader", UNPACKERS)
def test_every_kind_of_name_is_unpacked_inside_the_folder(named: Path, reader: str, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    if reader == "python":
        ran([*UNPACKERS[reader], str(named), "."], folder)
    else:
        ran([*UNPACKERS[reader], str(named)], folder)
    expected = {
        path: b"" if name == "empty" else name.encode() * 1000
        for path, name in zip(unique_paths(NAMES), NAMES, strict=True)
    }
    unpacked = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert unpacked == expected
    assert list(tmp_path.iterdir()) == [folder]
