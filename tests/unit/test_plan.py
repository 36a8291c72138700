"""The plan of an archive: pure, and so tested without S3."""

import io
import random
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects_api.archive import plan as planning
from projects_api.archive.plan import (
    GIB,
    MANIFEST,
    MIB,
    BufferedPart,
    Copy,
    Directory,
    Header,
    Part,
    Plan,
    Range,
    Segment,
    count_completed_files,
    directory,
    plan,
)
from projects_api.archive.zip_writer import Entry, local_header

NOW = datetime(2026, 2, 10, 9, 0, 2, tzinfo=UTC)
TIB = 1 << 40

#: Sizes of files: tiny, about the least part, about what fits into a part, large.
sizes = st.one_of(
    st.integers(0, 64 * MIB),
    st.integers(4 * MIB, 11 * MIB),
    st.integers(0, 60 * GIB),
    st.sampled_from([0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 5 * GIB, 5 * GIB + 1, (1 << 32) - 1, 1 << 32]),
)


def entries_of(file_sizes: Sequence[int], manifest_size: int = 2) -> list[Entry]:
    return [Entry(f"{n}.bin", size, 0, NOW) for n, size in enumerate([manifest_size, *file_sizes])]


def segments_of(part: Part) -> Sequence[Segment]:
    return [part.range] if isinstance(part, Copy) else part.segments


def made_of(parts: Sequence[Part], bytes_of: Callable[[Segment], bytes]) -> bytes:
    return b"".join(bytes_of(segment) for part in parts for segment in segments_of(part))


@contextmanager
def small_limits(**more: int) -> Iterator[None]:
    """The same arithmetic with small numbers, so that many shapes of archive fit into a test."""
    limits = {"MIN_PART_SIZE": 50, "BUFFERED_PART_SIZE": 80, "MAX_PART_SIZE": 120, "COPY_PART_SIZE": 100} | more
    with pytest.MonkeyPatch.context() as patch:
        for name, value in limits.items():
            patch.setattr(planning, name, value)
        yield


def assert_within_the_limits(made: Plan, least: int = 5 * MIB, most: int = 5 * GIB, parts: int = 10_000) -> None:
    """No upload that makes the archive, or a volume of it, breaks what S3 demands of its parts."""
    uploads = [[part.size for part in volume] for volume in made.volumes]
    if len(uploads) > 1:
        uploads.append([join.size for join in made.joins])
    for upload in uploads:
        assert len(upload) <= parts
        assert all(least <= size <= most for size in upload[:-1])
        assert 0 < upload[-1] <= most


@given(
    st.lists(st.integers(0, 300), max_size=25),
    st.integers(2, 200),
    st.sampled_from([4, 7, 10_000]),
    st.randoms(use_true_random=False),
)
def test_the_parts_concatenated_are_the_archive(
    file_sizes: list[int], manifest_size: int, most_parts: int, chance: random.Random
) -> None:
    contents = [chance.randbytes(size) for size in (manifest_size, *file_sizes)]
    entries = [
        replace(entry, crc32=zlib.crc32(data))
        for entry, data in zip(entries_of(file_sizes, manifest_size), contents, strict=True)
    ]

    def bytes_of(segment: Segment) -> bytes:
        match segment:
            case Header(index):
                return local_header(entries[index])
            case Directory(start, size):
                return directory(entries)[start : start + size]
            case Range(index, start, size):
                return contents[index][start : start + size]

    with small_limits(MAX_PARTS=most_parts, MAX_PART_SIZE=1000):
        made = plan([replace(entry, crc32=0) for entry in entries])
        assert_within_the_limits(made, least=50, most=1000, parts=most_parts if len(made.volumes) == 1 else 10_000)
        volumes = [made_of(volume, bytes_of) for volume in made.volumes]
        joined = b"".join(volumes[join.index][join.start : join.start + join.size] for join in made.joins)
    archive = made_of(made.parts, bytes_of)
    assert joined == archive
    assert made.size == len(archive)
    assert sum(count_completed_files(part, entries) for part in made.parts) == len(file_sizes)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert [opened.read(entry.path) for entry in entries] == contents


@given(st.lists(sizes, max_size=40), st.one_of(st.integers(2, 200), st.integers(0, 40 * MIB)))
def test_every_byte_is_covered_once_within_the_limits_of_s3(file_sizes: list[int], manifest_size: int) -> None:
    entries = entries_of(file_sizes, manifest_size)
    made = plan(entries)
    assert_within_the_limits(made)
    covered, headers, ended = dict.fromkeys(range(len(entries)), 0), [], 0
    for part in made.parts:
        if isinstance(part, BufferedPart):
            assert part.size <= 14 * MIB  # what a worker holds in memory
            assert part.size == sum(segment.size for segment in part.segments)
        for segment in segments_of(part):
            match segment:
                case Header(index):
                    headers.append(index)
                case Directory(start, size):
                    assert start == ended
                    ended += size
                case Range(index, start, size):
                    assert headers[-1] == index
                    assert start == covered[index]
                    covered[index] += size
    assert headers == list(range(len(entries)))
    assert list(covered.values()) == [entry.size for entry in entries]
    assert ended == len(directory(entries))
    assert not any(isinstance(part, Copy) and part.range.index == MANIFEST for part in made.parts)


@pytest.mark.parametrize(
    ("file_sizes", "most_gathered"),
    [
        ([], 1 * MIB),
        ([20 * 1024] * 100_000, 2 * GIB),
        ([6 * MIB] * 100_000, 600 * GIB),
        ([100 * MIB] * 100_000, 600 * GIB),
        ([1 * TIB] * 10, 60 * MIB),
        ([10 * TIB], 10 * MIB),
    ],
    ids=["nothing", "100,000 tiny", "100,000 small", "100,000 middling", "10 huge", "10 TB in one"],
)
def test_it_holds_for_any_number_of_files_of_any_size(file_sizes: list[int], most_gathered: int) -> None:
    made = plan(entries_of(file_sizes, 150 * len(file_sizes) + 2))
    assert_within_the_limits(made)
    assert made.size > sum(file_sizes)
    assert sum(part.size for part in made.parts if isinstance(part, BufferedPart)) <= most_gathered


def test_a_large_file_costs_its_first_mebibytes_only() -> None:
    made = plan(entries_of([256 * MIB] * 4))
    gathered = sum(part.size for part in made.parts if isinstance(part, BufferedPart))
    assert gathered <= 4 * 5 * MIB + MIB


def test_more_than_65535_entries_are_all_found() -> None:
    entries = entries_of([0] * 65_600, 0)
    made = plan(entries)
    whole = directory(entries)
    archive = made_of(
        made.parts,
        lambda segment: (
            local_header(entries[segment.index])
            if isinstance(segment, Header)
            else whole[segment.start : segment.start + segment.size]
        ),
    )
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert len(opened.namelist()) == 65_601


def test_two_plans_whose_parts_must_not_be_mixed_have_digests_of_their_own() -> None:
    entries = entries_of([2 * MIB] * 10)
    assert plan(entries).digest == plan(list(entries)).digest
    assert plan(entries).digest != plan(entries_of([2 * MIB] * 9)).digest
    with small_limits(MIN_PART_SIZE=5 * MIB, BUFFERED_PART_SIZE=20 * MIB, MAX_PART_SIZE=5 * GIB, COPY_PART_SIZE=GIB):
        changed = plan(entries)
    assert plan(entries).digest != changed.digest
