"""The plan of an archive: which parts of which multipart uploads make it, and where the bytes of each come from.

Pure: the same entries give the same plan. A stored ZIP entry is a header and then the file's own bytes, and S3 copies a
range of an object into a part by itself. So a part is either one such copy, or bytes gathered by this process: headers,
small files, and the first bytes of a large one: just enough to bring the part with its header up to the least size.

A plan needs no checksums: they are of fixed width wherever they stand, so that sizes and offsets do not depend on them.
The entry at 0 is the manifest, which is no object, and which lists the checksums of all others.
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

#: Amazon S3, "Multipart upload limits": the least size of all parts but the last, the most of any, and how many.
MIN_PART_SIZE = 5 * MIB
MAX_PART_SIZE = 5 * GIB
MAX_PARTS = 10_000

#: A gathered part is closed once it has this size. No file is cut to fit: one that is gathered at all is gathered
#: whole, or up to where its copy begins; so a part may come to ``BUFFERED_PART_SIZE + MIN_PART_SIZE`` and its last header.
BUFFERED_PART_SIZE = 8 * MIB

#: A copy is at most this large, so that one file is copied by several requests at once, and at least a 5,000th of the
#: archive, so that copies alone never use up the parts.
COPY_PART_SIZE = 512 * MIB
MAX_COPY_PARTS = 5_000

MANIFEST = 0


@dataclass(frozen=True, slots=True)
class Header:
    """The local header of an entry."""

    index: int
    size: int


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of the entry at ``index``: ``size`` of them from ``start`` on."""

    index: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Directory:
    """Bytes of what ends an archive: the central directory and its end records."""

    start: int
    size: int


type Segment = Header | Range | Directory


@dataclass(frozen=True, slots=True)
class Copy:
    """A part that S3 copies by itself, from the object of an entry."""

    range: Range

    @property
    def size(self) -> int:
        return self.range.size


@dataclass(frozen=True, slots=True)
class BufferedPart:
    """A part whose bytes go through this process."""

    segments: tuple[Segment, ...]
    size: int

    @property
    def late(self) -> bool:
        """Whether it tells the checksums of other parts' entries, and so must be made behind all others."""
        return any(isinstance(one, Directory) or one.index == MANIFEST for one in self.segments)

    @property
    def has_files(self) -> bool:
        """Whether it has bytes of files."""
        return any(isinstance(one, Range) and one.index != MANIFEST for one in self.segments)


type Part = Copy | BufferedPart


@dataclass(frozen=True)
class Plan:
    """The parts of an archive in their order; all but the last are at least ``MIN_PART_SIZE``."""

    parts: tuple[Part, ...]
    size: int

    @cached_property
    def volumes(self) -> tuple[tuple[Part, ...], ...]:
        """The parts by upload: one makes the archive, where there are no more parts than an upload takes.

        Otherwise each makes an object of its own, and ``joins`` copies these into the archive.
        """
        count = -(-len(self.parts) // MAX_PARTS)
        bounds = [len(self.parts) * number // count for number in range(count + 1)]
        return tuple(self.parts[start:end] for start, end in pairwise(bounds))

    @cached_property
    def joins(self) -> tuple[Range, ...]:
        """Which ranges of which volumes, one after the other, are the archive."""
        return tuple(
            join
            for index, parts in enumerate(self.volumes)
            for join in _cut(Range(index, 0, sum(part.size for part in parts)), MAX_PART_SIZE)
        )

    @cached_property
    def digest(self) -> str:
        """What tells two plans apart whose parts must not be mixed, as those of two versions of this program."""
        layout = ",".join(f"{type(part).__name__}{part.size}" for part in self.parts)
        return sha256(layout.encode()).hexdigest()


def count_completed_files(part: Part, entries: Sequence[Entry]) -> int:
    """How many files have their last byte in a part; the manifest is not counted."""
    if isinstance(part, Copy):
        return _ends(part.range, entries)
    return sum(
        _ends(segment, entries) if isinstance(segment, Range) else entries[segment.index].size == 0
        for segment in part.segments
        if not isinstance(segment, Directory) and segment.index != MANIFEST
    )


def _ends(range_: Range, entries: Sequence[Entry]) -> bool:
    return range_.start + range_.size == entries[range_.index].size


def plan(entries: Sequence[Entry]) -> Plan:
    """The plan of an archive of ``entries``, the manifest first. Their checksums are not looked at."""
    parts = tuple(_parts(entries))
    return Plan(parts, sum(part.size for part in parts))


def directory(entries: Sequence[Entry]) -> bytes:
    """What ends an archive of ``entries``: their records, and the end of the central directory."""
    offset, records = 0, []
    for entry in entries:
        records.append(zip_writer.central_header(entry, offset))
        offset += len(zip_writer.local_header(entry)) + entry.size
    data = b"".join(records)
    return data + zip_writer.end_of_central_directory(entries=len(entries), size=len(data), offset=offset)


def _segments(entries: Sequence[Entry]) -> Iterator[Segment]:
    """The archive from its first byte to its last."""
    for index, entry in enumerate(entries):
        yield Header(index, len(zip_writer.local_header(entry)))
        if entry.size:
            yield Range(index, 0, entry.size)
    yield Directory(0, len(directory(entries)))


def _parts(entries: Sequence[Entry]) -> Iterator[Part]:
    most = min(MAX_PART_SIZE, max(COPY_PART_SIZE, sum(entry.size for entry in entries) // MAX_COPY_PARTS))
    gathered: list[Segment] = []
    size = 0
    for segment in _segments(entries):
        if isinstance(segment, Range) and segment.index != MANIFEST:
            missing = max(0, MIN_PART_SIZE - size) if gathered else 0
            if segment.size - missing >= MIN_PART_SIZE:
                if missing:
                    gathered.append(Range(segment.index, 0, missing))
                if gathered:
                    yield BufferedPart(tuple(gathered), size + missing)
                    gathered, size = [], 0
                rest = Range(segment.index, missing, segment.size - missing)
                yield from (Copy(piece) for piece in _cut(rest, most))
                continue
            pieces: Sequence[Segment] = [segment]
        elif isinstance(segment, Header):
            pieces = [segment]
        else:
            pieces = _cut_at(segment, BUFFERED_PART_SIZE - size)
        for piece in pieces:
            gathered.append(piece)
            size += piece.size
            if size >= BUFFERED_PART_SIZE:
                yield BufferedPart(tuple(gathered), size)
                gathered, size = [], 0
    if gathered:
        yield BufferedPart(tuple(gathered), size)


def _cut(whole: Range, most: int) -> list[Range]:
    """``whole`` in as few pieces of at most ``most`` bytes as there can be, all of about one size."""
    count = -(-whole.size // most)
    bounds = [whole.size * number // count for number in range(count + 1)]
    return [Range(whole.index, whole.start + start, end - start) for start, end in pairwise(bounds)]


def _cut_at(whole: Range | Directory, first: int) -> list[Segment]:
    """``whole`` in a piece of at most ``first`` bytes, then pieces of ``BUFFERED_PART_SIZE``."""
    bounds = [0, *range(first, whole.size, BUFFERED_PART_SIZE), whole.size]
    pieces: list[Segment] = []
    for start, end in pairwise(bounds):
        if isinstance(whole, Directory):
            pieces.append(Directory(start, end - start))
        else:
            pieces.append(Range(whole.index, start, end - start))
    return pieces
