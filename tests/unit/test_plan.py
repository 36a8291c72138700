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
from projects_api.archive.parts import (
    MANIFEST,
    CopiedPart,
    Directory,
    Header,
    Part,
    PreviousRange,
    Range,
    Seam,
    Segment,
    is_read,
    needs_all_checksums,
)
from projects_api.archive.plan import GIB, MIB, Plan, padding_of, plan
from projects_api.archive.zip_writer import Entry, encode_directory, local_header
from tests.support.plans import list_segments

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


def count_worker_bytes(plan_: Plan) -> int:
    """Return the number of bytes that the worker reads and uploads."""
    segments = [segment for part in plan_.parts for segment in part.segments]
    return sum(segment.size for segment in segments) + sum(segment.size for segment in segments if is_read(segment))


def join_segments(parts: Sequence[Part], read_segment: Callable[[Segment], bytes]) -> bytes:
    return b"".join(read_segment(segment) for part in parts for segment in list_segments(part))


@contextmanager
def small_limits(**limits: int) -> Iterator[None]:
    """Plan with small limits in the block, so that a test covers many shapes of archives.

    Args:
        limits: Limits that replace the defaults.
    """
    defaults = {
        "MIN_PART_SIZE": 50,
        "BUFFERED_PART_SIZE": 80,
        "MAX_GATHERED_SIZE": 10,
        "MAX_PART_SIZE": 120,
        "COPY_PART_SIZE": 100,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (defaults | limits).items():
            patch.setattr(planning, name, value)
        yield


def assert_within_limits(
    plan_: Plan, entries: Sequence[Entry], min_size: int = 5 * MIB, max_size: int = 5 * GIB, max_parts: int = 10_000
) -> None:
    """Assert that no upload of the archive, of a volume or of a helper object exceeds the limits of S3 for parts.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
    """
    uploads = [[part.size for part in plan_.parts[volume.start : volume.stop]] for volume in plan_.volumes]
    if len(uploads) > 1:
        uploads.append([join.size for join in plan_.joins])
    copies = [part.source for part in plan_.parts if isinstance(part, CopiedPart)]
    for part in plan_.parts:
        if isinstance(part, Seam):
            before, after = (sum(segment.size for segment in run) for run in (part.before, part.after))
            assert before or after
            uploads.append([size for size in (part.source.size, after) if size])
            copies.append(part.source)
            if before:
                uploads += [[padding_of(part).size, before], [padding_of(part).size + before, *uploads.pop()]]
                copies.append(padding_of(part))
    for upload in uploads:
        assert len(upload) <= max_parts
        assert all(min_size <= size <= max_size for size in upload[:-1])
        assert 0 < upload[-1] <= max_size
    for copy in copies:
        assert min_size <= copy.size
        if isinstance(copy, Range):  # S3 copies ranges of objects over 5 MiB, and whole objects of any size
            assert copy.index != MANIFEST
            assert copy.start + copy.size <= entries[copy.index].size
            assert entries[copy.index].size > min_size or copy.size == entries[copy.index].size


def choose_unchanged(entries: Sequence[Entry], generator: random.Random, share: float) -> dict[int, int]:
    """Return the offsets, in a previous archive with other entries, of those of ``entries`` that are unchanged."""
    offset, unchanged = generator.randrange(1000), {}
    for index, entry in enumerate(entries[1:], 1):
        if generator.random() < share:
            unchanged[index] = offset
            offset += len(local_header(entry)) + entry.size
        elif generator.random() < 0.5:
            offset += generator.randrange(100)
    return unchanged


@given(
    st.lists(st.integers(0, 300), max_size=25),
    st.integers(2, 200),
    st.sampled_from([4, 7, 10_000]),
    st.sampled_from([0, 0.5, 0.9, 1]),
    st.randoms(use_true_random=False),
)
def test_parts_form_the_archive(
    file_sizes: list[int], manifest_size: int, max_parts: int, unchanged_share: float, generator: random.Random
) -> None:
    """The bytes of the archive are the same with any previous archive, and any reader opens it."""
    contents = [generator.randbytes(size) for size in (manifest_size, *file_sizes)]
    entries = [
        replace(entry, crc32=zlib.crc32(data))
        for entry, data in zip(build_entries(file_sizes, manifest_size), contents, strict=True)
    ]
    unchanged = choose_unchanged(entries, generator, unchanged_share)
    previous = bytearray(sum(file_sizes) + 20_000)
    for index, offset in unchanged.items():
        data = local_header(entries[index]) + contents[index]
        previous[offset : offset + len(data)] = data

    def read_segment(segment: Segment) -> bytes:
        match segment:
            case Header(index):
                return local_header(entries[index])
            case Directory(start, size):
                return encode_directory(entries)[start : start + size]
            case Range(index, start, size):
                return contents[index][start : start + size]
            case PreviousRange(start, size):
                return bytes(previous[start : start + size])

    with small_limits(MAX_PARTS=max_parts, MAX_PART_SIZE=1000):
        planned = plan([replace(entry, crc32=0) for entry in entries], unchanged)
        assert_within_limits(
            planned, entries, min_size=50, max_size=1000, max_parts=max_parts if len(planned.volumes) == 1 else 10_000
        )
        volumes = [join_segments(planned.parts[volume.start : volume.stop], read_segment) for volume in planned.volumes]
        joined = b"".join(volumes[join.index][join.start : join.start + join.size] for join in planned.joins)
    archive = join_segments(planned.parts, read_segment)
    assert joined == archive
    assert planned.size == len(archive)
    assert sum(map(planned.count_completed_files, range(len(planned.parts)))) == len(file_sizes)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert [opened.read(entry.path) for entry in entries] == contents
        assert [opened.getinfo(entry.path).header_offset for entry in entries] == list(planned.offsets[:-1])


@given(st.lists(sizes, max_size=40), st.one_of(st.integers(2, 200), st.integers(0, 40 * MIB)))
def test_every_byte_is_covered_once(file_sizes: list[int], manifest_size: int) -> None:
    entries = build_entries(file_sizes, manifest_size)
    planned = plan(entries)
    assert_within_limits(planned, entries)
    covered, headers, directory_end = dict.fromkeys(range(len(entries)), 0), [], 0
    for part in planned.parts:
        # the most that a worker holds in memory
        assert sum(segment.size for segment in part.segments) <= 18 * MIB + 2048
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
    assert directory_end == len(encode_directory(entries))


@given(st.lists(sizes, max_size=40), st.one_of(st.integers(2, 200), st.integers(0, 40 * MIB)))
def test_bytes_of_the_worker(file_sizes: list[int], manifest_size: int) -> None:
    """The worker reads and uploads files under 5 MiB, and of all others at most 1 MiB each."""
    entries = build_entries(file_sizes, manifest_size)
    planned = plan(entries)
    small = sum(size for size in file_sizes if size < 5 * MIB)
    metadata = planned.size - sum(file_sizes)
    large_files = sum(size >= 5 * MIB for size in file_sizes)
    assert count_worker_bytes(planned) <= 2 * (small + large_files * MIB) + metadata


@given(st.lists(sizes, max_size=40), st.sampled_from([0.5, 0.9, 1]), st.randoms(use_true_random=False))
def test_limits_with_a_previous_archive(file_sizes: list[int], share: float, generator: random.Random) -> None:
    entries = build_entries(file_sizes)
    planned = plan(entries, choose_unchanged(entries, generator, share))
    assert_within_limits(planned, entries)


@given(st.lists(sizes, max_size=40), st.one_of(st.integers(2, 200), st.integers(0, 40 * MIB)))
def test_each_part_can_be_finished(file_sizes: list[int], manifest_size: int) -> None:
    """A header follows the copies of its file: no part awaits its own buffered bytes or those of a later part."""
    entries = build_entries(file_sizes, manifest_size)
    for part in plan(entries).parts:
        if needs_all_checksums(part):
            continue
        headers = [segment.index for segment in part.segments if isinstance(segment, Header)]
        for index in headers[:-1]:  # of files that are in the part as a whole
            assert Range(index, 0, entries[index].size) in part.segments or not entries[index].size


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("file_sizes", "max_buffered"),
    [
        ([], 1 * MIB),
        ([20 * 1024] * 100_000, 2 * GIB),
        ([6 * MIB] * 100_000, 60 * MIB),
        ([100 * MIB] * 100_000, 60 * MIB),
        ([400 * MIB] * 100_000, 60 * MIB),
        ([1 * TIB] * 48, 1 * MIB),
        ([48 * TIB], 1 * MIB),
        ([4 * MIB, 5 * MIB, 9 * MIB, 10 * MIB, 4 * GIB] * 10_000, 200 * GIB),
        ([48 * TIB - 100_000 * 5 * MIB] + [5 * MIB] * 99_999, 60 * MIB),
    ],
    ids=[
        "nothing",
        "100,000 tiny",
        "100,000 small",
        "100,000 medium",
        "100,000 large",
        "48 of 1 TiB",
        "one of 48 TiB",
        "50,000 mixed",
        "one huge and 99,999 small",
    ],
)
def test_limits_and_buffered_bytes(file_sizes: list[int], max_buffered: int) -> None:
    entries = build_entries(file_sizes, 150 * len(file_sizes) + 2)
    planned = plan(entries)
    assert_within_limits(planned, entries)
    assert planned.size > sum(file_sizes)
    assert sum(segment.size for part in planned.parts for segment in part.segments) <= max_buffered


@pytest.mark.parametrize("size", [5 * MIB, 5 * MIB + 1, 9 * MIB, 10 * MIB, 256 * MIB])
def test_large_files_are_copied(size: int) -> None:
    """Of files from 5 MiB on, the worker handles headers only."""
    planned = plan(build_entries([size] * 4))
    assert count_worker_bytes(planned) < 2048


def test_one_change() -> None:
    """After one change, the worker handles the changed file, the manifest and the directory, and little more."""
    entries = build_entries([20 * 1024] * 5_000, 500_000)
    offset, unchanged = 700_000, {}
    for index, entry in enumerate(entries[1:], 1):
        if index != 2_500:
            unchanged[index] = offset
        offset += len(local_header(entry)) + entry.size
    planned = plan(entries, unchanged)
    assert_within_limits(planned, entries)
    metadata = 500_000 + len(encode_directory(entries))
    assert count_worker_bytes(planned) <= metadata + 2 * 20 * 1024 + 200 + 2 * MIB


def test_more_than_65535_entries() -> None:
    entries = build_entries([0] * 65_600, 0)
    planned = plan(entries)
    directory = encode_directory(entries)
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
    entries = build_entries([20 * MIB] * 3)
    assert plan(entries).digest != plan(entries, {1: 0}).digest
    assert plan(entries, {1: 0}).digest != plan(entries, {1: 1}).digest
