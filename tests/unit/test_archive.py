"""The archive's format, paths and plan: pure, and so tested without S3."""

import io
import random
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projects_api.archive import plan as planning
from projects_api.archive.paths import safe_path, unique_paths
from projects_api.archive.plan import GIB, MIB, Copy, Gathered, Literal, Plan, plan
from projects_api.archive.zip_format import Entry, central_header, end_of_central_directory, local_header

NOW = datetime(2026, 2, 10, 9, 0, 2, tzinfo=UTC)


def entry(path: str, size: int, crc32: int = 0) -> Entry:
    return Entry(path, size, crc32, NOW)


def assembled(made: Plan, contents: Sequence[bytes]) -> bytes:
    """The archive that a plan makes of the files' contents."""
    data = io.BytesIO()
    for part in made.parts:
        for segment in [part.range] if isinstance(part, Copy) else part.segments:
            if isinstance(segment, Literal):
                data.write(segment.data)
            else:
                data.write(contents[segment.index][segment.start : segment.start + segment.size])
    return data.getvalue()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=25), st.integers(0, 200), st.randoms(use_true_random=False))
def test_the_parts_concatenated_are_an_archive_within_the_limits(
    sizes: list[int], manifest_size: int, chance: random.Random
) -> None:
    contents = [chance.randbytes(size) for size in sizes]
    manifest = chance.randbytes(manifest_size)
    files = [entry(f"f/{n}.bin", len(data), zlib.crc32(data)) for n, data in enumerate(contents)]
    with pytest.MonkeyPatch.context() as patch:
        # the same arithmetic with small numbers, so that many shapes of archive fit into a test
        patch.setattr(planning, "LEAST_PART", 50)
        patch.setattr(planning, "GATHERED_PART", 160)
        patch.setattr(planning, "MOST_PART", 120)
        made = plan((entry("manifest.json", len(manifest), zlib.crc32(manifest)), manifest), files)
    archive = assembled(made, contents)
    assert made.size == len(archive)
    assert all(part.size >= 50 for part in made.parts[:-1])
    assert all(part.size <= (120 if isinstance(part, Copy) else 160) for part in made.parts)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == ["manifest.json", *(file.path for file in files)]
        assert [opened.read(file.path) for file in files] == contents
        assert opened.read("manifest.json") == manifest


def shape(sizes: Sequence[int]) -> Plan:
    return plan((entry("manifest.json", 2), b"{}"), [entry(f"{n}", size) for n, size in enumerate(sizes)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 64 * MIB), st.integers(0, 60 * GIB)), max_size=40))
def test_the_parts_of_large_files_are_within_the_limits_of_s3(sizes: list[int]) -> None:
    made = shape(sizes)
    assert all(part.size >= 5 * MIB for part in made.parts[:-1])
    assert all(part.size <= 5 * GIB for part in made.parts)
    covered = dict.fromkeys(range(len(sizes)), 0)
    for part in made.parts:
        if isinstance(part, Gathered):
            assert part.size <= planning.GATHERED_PART
        for segment in [part.range] if isinstance(part, Copy) else part.segments:
            if not isinstance(segment, Literal):
                assert segment.start == covered[segment.index]
                covered[segment.index] += segment.size
    assert list(covered.values()) == list(sizes)


def test_a_large_file_costs_its_first_mebibytes_only() -> None:
    made = shape([256 * MIB] * 4)
    gathered = sum(part.size for part in made.parts if isinstance(part, Gathered))
    assert gathered <= 4 * 5 * MIB + MIB
    assert next(part.size for part in made.parts if isinstance(part, Copy)) > 250 * MIB


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


def test_more_than_65535_entries_are_all_found() -> None:
    files = [entry(f"{n:05}", 0) for n in range(65_600)]
    made = plan((entry("manifest.json", 2, zlib.crc32(b"{}")), b"{}"), files)
    with zipfile.ZipFile(io.BytesIO(assembled(made, [b""] * len(files)))) as opened:
        assert len(opened.namelist()) == 65_601


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
