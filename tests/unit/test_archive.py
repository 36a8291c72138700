"""The ZIP format of archives and their paths."""

import re
import time
import unicodedata
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects_api.archive.crc32 import combine_crc32
from projects_api.archive.export_paths import safe_path, unique_paths
from projects_api.archive.manifest import encode_manifest
from projects_api.archive.plan import GIB
from projects_api.archive.zip_writer import Entry, central_header, end_of_central_directory, local_header
from projects_api.entities.content import Content
from projects_api.entities.ids import ProjectId, ResourceId, UserId
from projects_api.entities.project import Member, Project, Role
from projects_api.entities.resource import Resource, ResourceType
from projects_api.entities.user import Email

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


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        (["datasets/7", "datasets/7/inner.csv"], ["datasets/7", "datasets/7 (2)/inner.csv"]),
        (["a/b/c", "a/b/c/d/e", "a/b/c/f"], ["a/b/c", "a/b/c (2)/d/e", "a/b/c (2)/f"]),
        (["a/b/c", "a/B"], ["a/b/c", "a/B (2)"]),
        (["x", "X/y", "x (2)"], ["x", "X (2)/y", "x (2) (2)"]),
        (["a.tar.gz", "A.tar.gz"], ["a.tar.gz", "A.tar (2).gz"]),
    ],
)
def test_only_the_clashing_name_changes(names: list[str], paths: list[str]) -> None:
    assert unique_paths(names) == paths


@pytest.mark.parametrize(
    "name",
    ["d/{}.csv", "{}", ("f" * 250 + "/") * 3 + "e" * 200 + "/{}", "y" * 240 + "{}.csv", "{}/" + "z" * 250 + ".parquet"],
    ids=["in a folder", "alone", "in a long path", "long", "as a folder"],
)
def test_many_case_variants(name: str) -> None:
    """The time is linear, and numbered names keep to the limits of names and paths."""
    letters = "abcdefghijkl"
    variants = [
        "".join(letter.upper() if number >> bit & 1 else letter for bit, letter in enumerate(letters))
        for number in range(1 << len(letters))
    ]
    started = time.process_time()
    paths = unique_paths(name.format(variant) for variant in variants)
    assert time.process_time() - started < 4
    assert len({path.casefold() for path in paths}) == len(variants) == 4096
    assert max(len(path.encode()) for path in paths) <= 1024
    assert max(len(part.encode()) for path in paths for part in path.split("/")) <= 255
    assert all(path.endswith(Path(name).suffix) for path in paths)


@pytest.mark.parametrize(
    ("modified", "seconds"),
    [
        (NOW, 1770714002),
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(2038, 1, 19, 3, 14, 7, 999_999, tzinfo=UTC), 0x7FFFFFFF),
        (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), None),
        (datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC), None),
        (datetime(9999, 12, 31, tzinfo=UTC), None),
    ],
)
def test_extended_timestamp(modified: datetime, seconds: int | None) -> None:
    """Both headers have the time in UTC, to the second, if it fits into 31 bits."""
    entry = Entry("a", 1, 0, modified)
    field = b"" if seconds is None else b"UT\x05\x00\x01" + seconds.to_bytes(4, "little")
    assert local_header(entry) == local_header(entry)[:30] + b"a" + field
    assert central_header(entry, 0) == central_header(entry, 0)[:46] + b"a" + field


def test_times_of_the_manifest_have_six_digits() -> None:
    times = [NOW, NOW.replace(microsecond=500_000), NOW.replace(microsecond=7)]
    user, project_id = UserId("u"), ProjectId("p")
    resources = [
        Resource(ResourceId(f"r{time.microsecond}"), ResourceType.DEPLOYMENT, "d", time, "", {}) for time in times
    ]
    content = Content(
        Project(project_id, "p", "", user, times[0], times[1]),
        [Member(user, Email("a@example.com"), "A", Role.OWNER, times[2])],
        resources,
    )
    manifest = b"".join(encode_manifest(content, [], [], []))
    found = re.findall(rb'"20[^"]*"', manifest)
    assert len(found) == 6
    assert all(re.fullmatch(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"', text) for text in found)
