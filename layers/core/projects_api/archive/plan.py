"""The plan of an archive: the parts of the multipart uploads that assemble it, and the source of the bytes of each.

The plan needs no access to AWS, and the same entries always give the same plan. A stored ZIP entry is a header followed
by the bytes of the file, and S3 can copy a range of an object into a part. A part is therefore one of two kinds:

- A copied part: S3 copies it from an artifact.
- A buffered part: its bytes go through the worker. It holds headers, small files, and the first bytes of a large file
  if the part would otherwise be smaller than S3 allows.

The plan does not depend on checksums, because they have a fixed width in headers, manifest and directory. The entry at
index 0 is the manifest. It is no object in S3, and it lists the checksums of all other entries.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import pairwise

from projects_api.archive import zip_writer
from projects_api.archive.zip_writer import Entry

MIB = 1 << 20
GIB = 1 << 30

#: Limits of a multipart upload (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html): the size of a part
#: in bytes, where the last part may be smaller than the minimum, and the number of parts.
MIN_PART_SIZE = 5 * MIB
MAX_PART_SIZE = 5 * GIB
MAX_PARTS = 10_000

#: Size at which a buffered part is complete, in bytes. Files are not split to fit: a buffered file is read whole, or up
#: to the byte where its copied part begins. A part can therefore reach the size of ``BUFFERED_PART_SIZE``,
#: ``MIN_PART_SIZE`` and one header together.
BUFFERED_PART_SIZE = 8 * MIB

#: Largest copied part, in bytes. Larger files become several parts, which S3 copies in parallel.
COPY_PART_SIZE = 512 * MIB

#: Maximum number of copied parts in an archive, plus one for each file. In a huge archive, copied parts grow beyond
#: ``COPY_PART_SIZE`` to stay within this number.
MAX_COPY_PARTS = 5_000

#: Index of the manifest's entry.
MANIFEST = 0


@dataclass(frozen=True, slots=True)
class Header:
    """The local header of the entry at ``index``; ``size`` is in bytes."""

    index: int
    size: int


@dataclass(frozen=True, slots=True)
class Range:
    """A range of bytes of the entry (or, in ``Plan.joins``, of the volume) at ``index``.

    Attributes:
        index: The index of the entry or volume.
        start: The offset of the first byte.
        size: The size in bytes.
    """

    index: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Directory:
    """A range of bytes of the central directory and the records that end it, from the offset ``start``."""

    start: int
    size: int


type Segment = Header | Range | Directory


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """A part that S3 copies from an artifact."""

    range: Range

    @property
    def size(self) -> int:
        return self.range.size


@dataclass(frozen=True, slots=True)
class BufferedPart:
    """A part whose bytes go through the worker."""

    segments: tuple[Segment, ...]
    size: int

    @property
    def needs_all_checksums(self) -> bool:
        """Return whether the part contains bytes of the manifest or the directory, which list all checksums."""
        return any(isinstance(segment, Directory) or segment.index == MANIFEST for segment in self.segments)

    @property
    def has_files(self) -> bool:
        """Return whether the part contains bytes of artifacts."""
        return any(isinstance(segment, Range) and segment.index != MANIFEST for segment in self.segments)


type Part = CopiedPart | BufferedPart


@dataclass(frozen=True)
class Plan:
    """The plan of an archive.

    Attributes:
        parts: The parts in their order. All but the last have at least ``MIN_PART_SIZE`` bytes.
        size: The size of the archive in bytes.
    """

    parts: tuple[Part, ...]
    size: int

    @cached_property
    def volumes(self) -> tuple[tuple[Part, ...], ...]:
        """The parts of each multipart upload.

        An archive of at most ``MAX_PARTS`` parts has one volume, which is the archive. A larger archive has several:
        each becomes an object, and ``joins`` copies these objects into the archive.
        """
        count = -(-len(self.parts) // MAX_PARTS)
        bounds = [len(self.parts) * number // count for number in range(count + 1)]
        return tuple(self.parts[start:end] for start, end in pairwise(bounds))

    @cached_property
    def joins(self) -> tuple[Range, ...]:
        """The ranges of the volumes that make the archive, in their order."""
        return tuple(
            join
            for index, parts in enumerate(self.volumes)
            for join in _split_evenly(Range(index, 0, sum(part.size for part in parts)), MAX_PART_SIZE)
        )

    @cached_property
    def digest(self) -> str:
        """A digest of the kinds and sizes of the parts.

        Two versions of this program can plan the same archive differently. The digest tells such plans apart, because
        their parts must not be mixed.
        """
        layout = ",".join(f"{type(part).__name__}{part.size}" for part in self.parts)
        return sha256(layout.encode()).hexdigest()


def count_completed_files(part: Part, entries: Sequence[Entry]) -> int:
    """Return the number of files whose last byte is in a part, without the manifest."""
    if isinstance(part, CopiedPart):
        return _reaches_end(part.range, entries)
    return sum(
        _reaches_end(segment, entries) if isinstance(segment, Range) else entries[segment.index].size == 0
        for segment in part.segments
        if not isinstance(segment, Directory) and segment.index != MANIFEST
    )


def _reaches_end(range_: Range, entries: Sequence[Entry]) -> bool:
    return range_.start + range_.size == entries[range_.index].size


def plan(entries: Sequence[Entry]) -> Plan:
    """Return the plan of an archive of ``entries``, the manifest first. The entries' checksums are ignored."""
    parts = tuple(_plan_parts(entries))
    return Plan(parts, sum(part.size for part in parts))


def build_directory(entries: Sequence[Entry]) -> bytes:
    """Return the central directory of an archive of ``entries`` and the records that end it (ZIP APPNOTE, 4.3.6)."""
    offset, headers = 0, []
    for entry in entries:
        headers.append(zip_writer.central_header(entry, offset))
        offset += len(zip_writer.local_header(entry)) + entry.size
    data = b"".join(headers)
    return data + zip_writer.end_of_central_directory(entries=len(entries), size=len(data), offset=offset)


def _list_segments(entries: Sequence[Entry]) -> Iterator[Segment]:
    """Return the segments of the archive, from its first byte to its last."""
    for index, entry in enumerate(entries):
        yield Header(index, len(zip_writer.local_header(entry)))
        if entry.size:
            yield Range(index, 0, entry.size)
    yield Directory(0, len(build_directory(entries)))


def _plan_parts(entries: Sequence[Entry]) -> Iterator[Part]:
    max_copy_size = min(MAX_PART_SIZE, max(COPY_PART_SIZE, sum(entry.size for entry in entries) // MAX_COPY_PARTS))
    buffered: list[Segment] = []
    size = 0
    for segment in _list_segments(entries):
        if isinstance(segment, Range) and segment.index != MANIFEST:
            missing = max(0, MIN_PART_SIZE - size) if buffered else 0
            if segment.size - missing >= MIN_PART_SIZE:
                if missing:
                    buffered.append(Range(segment.index, 0, missing))
                if buffered:
                    yield BufferedPart(tuple(buffered), size + missing)
                    buffered, size = [], 0
                rest = Range(segment.index, missing, segment.size - missing)
                yield from (CopiedPart(piece) for piece in _split_evenly(rest, max_copy_size))
                continue
            pieces: Sequence[Segment] = [segment]
        elif isinstance(segment, Header):
            pieces = [segment]
        else:
            pieces = _split_for_buffers(segment, BUFFERED_PART_SIZE - size)
        for piece in pieces:
            buffered.append(piece)
            size += piece.size
            if size >= BUFFERED_PART_SIZE:
                yield BufferedPart(tuple(buffered), size)
                buffered, size = [], 0
    if buffered:
        yield BufferedPart(tuple(buffered), size)


def _split_evenly(whole: Range, max_size: int) -> list[Range]:
    """Return ``whole`` as the smallest number of ranges of at most ``max_size`` bytes, all of about the same size."""
    count = -(-whole.size // max_size)
    bounds = [whole.size * number // count for number in range(count + 1)]
    return [Range(whole.index, whole.start + start, end - start) for start, end in pairwise(bounds)]


def _split_for_buffers(whole: Range | Directory, first_size: int) -> list[Segment]:
    """Return ``whole`` as one piece of at most ``first_size`` bytes and further ones of ``BUFFERED_PART_SIZE``."""
    bounds = [0, *range(first_size, whole.size, BUFFERED_PART_SIZE), whole.size]
    pieces: list[Segment] = []
    for start, end in pairwise(bounds):
        if isinstance(whole, Directory):
            pieces.append(Directory(start, end - start))
        else:
            pieces.append(Range(whole.index, start, end - start))
    return pieces
