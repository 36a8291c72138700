"""The ZIP format of archives and their paths."""

import re
import unicodedata
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects_api.archive.crc32 import combine_crc32
from projects_api.archive.paths import safe_path, unique_paths
from projects_api.archive.plan import GIB
from projects_api.archive.zip_writer import Entry, central_header, end_of_central_directory, local_header

NOW = datetime(2026, 2, 10, 9, 0, 2, tzinfo=UTC)


def build_entry(path: str, size: int, crc32: int = 0) -> Entry:
    return Entry(path, size, crc32, NOW)


def test_zip64() -> None:
    """Sizes and offsets over 4 GiB, and more than 65,535 entries, use the ZIP64 fields (APPNOTE 4.5.3 and 4.3.14)."""
    size = 5 * GIB
    header = local_header(build_entry("big", size))
    record = central_header(build_entry("big", size), size)
    for block in (header, record):
        assert size.to_bytes(8, "little") in block
        assert b"\xff\xff\xff\xff" in block
    assert record.endswith(size.to_bytes(8, "little") * 3)
    assert central_header(build_entry("small", 1), 2 * size).endswith((2 * size).to_bytes(8, "little"))
    end = end_of_central_directory(entries=70_000, size=100, offset=size)
    assert (70_000).to_bytes(8, "little") in end
    assert len(end_of_central_directory(entries=3, size=100, offset=50)) == 22


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=8))
def test_combine_crc32(pieces: list[bytes]) -> None:
    checksum = 0
    for piece in pieces:
        checksum = combine_crc32(checksum, zlib.crc32(piece), len(piece))
    assert checksum == zlib.crc32(b"".join(pieces))


def test_combine_crc32_of_gibibytes() -> None:
    zeros = bytes(1 << 24)
    whole = 0
    for _ in range(64):
        whole = zlib.crc32(zeros, whole)
    halves = zlib.crc32(b"")
    for _ in range(2):
        half = 0
        for _ in range(32):
            half = zlib.crc32(zeros, half)
        halves = combine_crc32(halves, half, 32 << 24)
    assert halves == whole


@given(st.one_of(st.text(max_size=400), st.from_regex(r"[./\\a:]{0,12}", fullmatch=True)))
def test_safe_path(name: str) -> None:
    """A safe path stays in the folder that the archive is unpacked to, on every operating system."""
    path = safe_path(name)
    assert path
    assert not path.startswith(("/", "\\"))
    for part in path.split("/"):
        assert part not in {"", ".", ".."}
        assert len(part.encode()) <= 255
        assert not re.search(r'[\x00-\x1f\x7f\\:<>"|?*]', part)
        assert not part.endswith((".", " "))
    assert path == unicodedata.normalize("NFC", path)
    assert safe_path(path) == path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("datasets/1/a.csv", "datasets/1/a.csv"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Windows\\a.txt", "C_/Windows/a.txt"),
        ("a\x00b\n.csv", "a_b_.csv"),
        ("con", "_con"),
        ("a/NUL.txt", "a/_NUL.txt"),
        ("nul .txt", "_nul .txt"),
        ("conout$", "_conout$"),
        ("aux" + " " * 260 + "report", "_aux"),
        ("…", "…"),
        ("", "_"),
        ("..", "_"),
        ("😀" * 75 + ".csv", "😀" * 62 + ".csv"),
    ],
)
def test_safe_path_changes_only_unsafe_parts(name: str, path: str) -> None:
    assert safe_path(name) == path


@given(
    st.lists(st.sampled_from(["a", "A", "a/b", "A/B", "a/b/c", "manifest.json", "MANIFEST.JSON", "x.y", "X.Y", ".."]))
)
def test_unique_paths(names: list[str]) -> None:
    """No two paths are the same, even on a case-insensitive file system, and no path is a folder of another."""
    paths = unique_paths(names, taken=["manifest.json"])
    folded = [path.casefold() for path in ["manifest.json", *paths]]
    assert len(set(folded)) == len(folded)
    for path in folded:
        assert not any(other.startswith(f"{path}/") for other in folded)
    assert paths == unique_paths(names, taken=["manifest.json"])
