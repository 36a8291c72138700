"""The plan of an archive, which is computed without S3."""

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
    CopiedPart,
    Directory,
    Header,
    Part,
    Plan,
    Range,
    Segment,
    build_directory,
    count_completed_files,
    plan,
)
from projects_api.archive.zip_writer import Entry, local_header

NOW = datetime(2026, 2, 10, 9, 0, 2, tzinfo=UTC)
TIB = 1 << 40

#: Sizes of files: any, close to the minimum part size, large, and at the limits of parts and of ZIP fields.
sizes = st.one_of(
    st.integers(0, 64 * MIB),
    st.integers(4 * MIB, 11 * MIB),
    st.integers(0, 60 * GIB),
    st.sampled_from([0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 5 * GIB, 5 * GIB + 1, (1 << 32) - 1, 1 << 32]),
)


def build_entries(file_sizes: Sequence[int], manifest_size: int = 2) -> list[Entry]:
    return [Entry(f"{n}.bin", size, 0, NOW) for n, size in enumerate([manifest_size, *file_sizes])]


def list_segments(part: Part) -> Sequence[Segment]:
    return [part.range] if isinstance(part, CopiedPart) else part.segments


def join_segments(parts: Sequence[Part], read_segment: Callable[[Segment], bytes]) -> bytes:
    return b"".join(read_segment(segment) for part in parts for segment in list_segments(part))


@contextmanager
def small_limits(**limits: int) -> Iterator[None]:
    """Plan with small limits in the block, so that a test covers many shapes of archives.

    Args:
        limits: Limits that replace the defaults.
    """
    defaults = {"MIN_PART_SIZE": 50, "BUFFERED_PART_SIZE": 80, "MAX_PART_SIZE": 120, "COPY_PART_SIZE": 100}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (defaults | limits).items():
            patch.setattr(planning, name, value)
        yield


def assert_within_limits(
    plan_: Plan, min_size: int = 5 * MIB, max_size: int = 5 * GIB, max_parts: int = 10_000
) -> None:
    """Assert that no upload of the archive or of one of its volumes exceeds the limits of S3 for parts.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
    """
    uploads = [[part.size for part in volume] for volume in plan_.volumes]
    if len(uploads) > 1:
        uploads.append([join.size for join in plan_.joins])
    for upload in uploads:
        assert len(upload) <= max_parts
        assert all(min_size <= size <= max_size for size in upload[:-1])
        assert 0 < upload[-1] <= max_size


@given(
    st.lists(st.integers(0, 300), max_size=25),
    st.integers(2, 200),
    st.sampled_from([4, 7, 10_000]),
    st.randoms(use_true_random=False),
)
def test_parts_form_the_archive(
    file_sizes: list[int], manifest_size: int, max_parts: int, generator: random.Random
) -> None:
    contents = [generator.randbytes(size) for size in (manifest_size, *file_sizes)]
    entries = [
        replace(entry, crc32=zlib.crc32(data))
        for entry, data in zip(build_entries(file_sizes, manifest_size), contents, strict=True)
    ]

    def read_segment(segment: Segment) -> bytes:
        match segment:
            case Header(index):
                return local_header(entries[index])
            case Directory(start, size):
                return build_directory(entries)[start : start + size]
            case Range(index, start, size):
                return contents[index][start : start + size]

    with small_limits(MAX_PARTS=max_parts, MAX_PART_SIZE=1000):
        planned = plan([replace(entry, crc32=0) for entry in entries])
        assert_within_limits(
            planned, min_size=50, max_size=1000, max_parts=max_parts if len(planned.volumes) == 1 else 10_000
        )
        volumes = [join_segments(volume, read_segment) for volume in planned.volumes]
        joined = b"".join(volumes[join.index][join.start : join.start + join.size] for join in planned.joins)
    archive = join_segments(planned.parts, read_segment)
    assert joined == archive
    assert planned.size == len(archive)
    assert sum(count_completed_files(part, entries) for part in planned.parts) == len(file_sizes)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert [opened.read(entry.path) for entry in entries] == contents


@given(st.lists(sizes, max_size=40), st.one_of(st.integers(2, 200), st.integers(0, 40 * MIB)))
def test_every_byte_is_covered_once(file_sizes: list[int], manifest_size: int) -> None:
    entries = build_entries(file_sizes, manifest_size)
    planned = plan(entries)
    assert_within_limits(planned)
    covered, headers, directory_end = dict.fromkeys(range(len(entries)), 0), [], 0
    for part in planned.parts:
        if isinstance(part, BufferedPart):
            assert part.size <= 14 * MIB  # the most that a worker holds in memory
            assert part.size == sum(segment.size for segment in part.segments)
        for segment in list_segments(part):
            match segment:
                case Header(index):
                    headers.append(index)
                case Directory(start, size):
                    assert start == directory_end
                    directory_end += size
                case Range(index, start, size):
                    assert headers[-1] == index
                    assert start == covered[index]
                    covered[index] += size
    assert headers == list(range(len(entries)))
    assert list(covered.values()) == [entry.size for entry in entries]
    assert directory_end == len(build_directory(entries))
    assert not any(isinstance(part, CopiedPart) and part.range.index == MANIFEST for part in planned.parts)


@pytest.mark.parametrize(
    ("file_sizes", "max_buffered"),
    [
        ([], 1 * MIB),
        ([20 * 1024] * 100_000, 2 * GIB),
        ([6 * MIB] * 100_000, 600 * GIB),
        ([100 * MIB] * 100_000, 600 * GIB),
        ([1 * TIB] * 10, 60 * MIB),
        ([10 * TIB], 10 * MIB),
    ],
    ids=["nothing", "100,000 tiny", "100,000 small", "100,000 medium", "10 huge", "one of 10 TiB"],
)
def test_limits_and_buffered_bytes(file_sizes: list[int], max_buffered: int) -> None:
    planned = plan(build_entries(file_sizes, 150 * len(file_sizes) + 2))
    assert_within_limits(planned)
    assert planned.size > sum(file_sizes)
    assert sum(part.size for part in planned.parts if isinstance(part, BufferedPart)) <= max_buffered


def test_large_files_are_copied() -> None:
    """Only the first 5 MiB of each large file are buffered."""
    planned = plan(build_entries([256 * MIB] * 4))
    buffered = sum(part.size for part in planned.parts if isinstance(part, BufferedPart))
    assert buffered <= 4 * 5 * MIB + MIB


def test_more_than_65535_entries() -> None:
    entries = build_entries([0] * 65_600, 0)
    planned = plan(entries)
    directory = build_directory(entries)
    archive = join_segments(
        planned.parts,
        lambda segment: (
            local_header(entries[segment.index])
            if isinstance(segment, Header)
            else directory[segment.start : segment.start + segment.size]
        ),
    )
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert len(opened.namelist()) == 65_601


def test_digest() -> None:
    """Two plans have the same digest only if parts of one can continue an upload of the other."""
    entries = build_entries([2 * MIB] * 10)
    assert plan(entries).digest == plan(list(entries)).digest
    assert plan(entries).digest != plan(build_entries([2 * MIB] * 9)).digest
    with small_limits(MIN_PART_SIZE=5 * MIB, BUFFERED_PART_SIZE=20 * MIB, MAX_PART_SIZE=5 * GIB, COPY_PART_SIZE=GIB):
        changed = plan(entries)
    assert plan(entries).digest != changed.digest
