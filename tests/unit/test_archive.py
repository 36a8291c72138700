"""The archive's format and its paths."""

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


def entry(path: str, size: int, crc32: int = 0) -> Entry:
    return Entry(path, size, crc32, NOW)


def test_a_file_over_4_gib_and_an_offset_over_4_gib_take_zip64() -> None:
    size = 5 * GIB
    header = local_header(entry("big", size))
    record = central_header(entry("big", size), size)
    for sized in (header, record):
        assert size.to_bytes(8, "little") in sized
        assert b"\xff\xff\xff\xff" in sized
    assert record.endswith(size.to_bytes(8, "little") * 3)
    assert central_header(entry("small", 1), 2 * size).endswith((2 * size).to_bytes(8, "little"))
    end = end_of_central_directory(entries=70_000, size=100, offset=size)
    assert (70_000).to_bytes(8, "little") in end
    assert len(end_of_central_directory(entries=3, size=100, offset=50)) == 22


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=8))
def test_the_checksums_of_pieces_combine_to_that_of_the_whole(pieces: list[bytes]) -> None:
    checksum = 0
    for piece in pieces:
        checksum = combine_crc32(checksum, zlib.crc32(piece), len(piece))
    assert checksum == zlib.crc32(b"".join(pieces))


def test_checksums_combine_over_gibibytes_at_once() -> None:
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
def test_a_path_stays_in_the_folder_it_is_unpacked_in(name: str) -> None:
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
def test_paths_keep_what_is_safe(name: str, path: str) -> None:
    assert safe_path(name) == path


@given(
    st.lists(st.sampled_from(["a", "A", "a/b", "A/B", "a/b/c", "manifest.json", "MANIFEST.JSON", "x.y", "X.Y", ".."]))
)
def test_no_two_paths_are_the_same_and_none_is_a_folder_of_another(names: list[str]) -> None:
    paths = unique_paths(names, taken=["manifest.json"])
    folded = [path.casefold() for path in ["manifest.json", *paths]]
    assert len(set(folded)) == len(folded)
    for path in folded:
        assert not any(other.startswith(f"{path}/") for other in folded)
    assert paths == unique_paths(names, taken=["manifest.json"])
