"""The plan of an archive: which parts of a multipart upload make it, and where the bytes of each come from.

Pure: the same files give the same plan. A stored ZIP entry is a header and then the object's own bytes, and S3 copies
a range of an object into a part by itself. So a part is either one such copy, or bytes gathered here: headers, small
files, and the first bytes of a large one, just enough to bring the part that its header is in up to the least size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from projects_api.archive import zip_format
from projects_api.archive.zip_format import Entry

MIB = 1 << 20
GIB = 1 << 30

#: Amazon S3, "Multipart upload limits": the least size of all parts but the last, the most of any, and how many.
LEAST_PART = 5 * MIB
MOST_PART = 5 * GIB
MOST_PARTS = 10_000

#: Up to what size bytes are gathered into one part: what a worker holds in memory for each part under way.
GATHERED_PART = 16 * MIB


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes that are nobody's object: headers, the manifest, the central directory."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes of the file at ``index``: ``size`` of them from ``start`` on."""

    index: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Copy:
    """A part that S3 copies by itself."""

    range: Range

    @property
    def size(self) -> int:
        return self.range.size


@dataclass(frozen=True, slots=True)
class Gathered:
    """A part whose bytes go through this process."""

    segments: tuple[Literal | Range, ...]

    @property
    def size(self) -> int:
        return sum(segment.size for segment in self.segments)


type Part = Copy | Gathered


@dataclass(frozen=True, slots=True)
class Plan:
    """The parts of an archive in their order; all but the last are at least ``LEAST_PART``."""

    parts: tuple[Part, ...]
    size: int


def plan(manifest: tuple[Entry, bytes], files: Sequence[Entry]) -> Plan:
    """The plan of an archive of a manifest and then ``files``; a ``Range``'s index is a place in ``files``."""
    segments = list(_segments(manifest, files))
    parts = tuple(_parts(segments))
    return Plan(parts, sum(part.size for part in parts))


def _segments(manifest: tuple[Entry, bytes], files: Sequence[Entry]) -> Iterator[Literal | Range]:
    """The archive from its first byte to its last."""
    entry, data = manifest
    offset, directory = 0, []
    for index, file in enumerate((entry, *files), start=-1):
        header = zip_format.local_header(file)
        directory.append(zip_format.central_header(file, offset))
        yield Literal(header)
        if index < 0:
            yield Literal(data)
        elif file.size:
            yield Range(index, 0, file.size)
        offset += len(header) + file.size
    records = b"".join(directory)
    yield Literal(records)
    yield Literal(
        zip_format.end_of_central_directory(entries=len(directory), size=len(records), offset=offset),
    )


def _parts(segments: Sequence[Literal | Range]) -> Iterator[Part]:
    gathered: list[Literal | Range] = []
    size = 0

    def gather(segment: Literal | Range) -> Iterator[Part]:
        """Takes a segment in, and gives what fills a part away."""
        nonlocal gathered, size
        while size + segment.size > GATHERED_PART:
            first, segment = _split(segment, GATHERED_PART - size)
            yield Gathered((*gathered, first))
            gathered, size = [], 0
        gathered.append(segment)
        size += segment.size

    for segment in segments:
        rest: Literal | Range = segment
        if isinstance(rest, Range):
            missing = max(0, LEAST_PART - size) if gathered else 0
            if rest.size - missing >= LEAST_PART:
                if missing:
                    yield from gather(Range(rest.index, rest.start, missing))
                    rest = Range(rest.index, rest.start + missing, rest.size - missing)
                if gathered:
                    yield Gathered(tuple(gathered))
                    gathered, size = [], 0
                yield from _copies(rest)
                continue
        yield from gather(rest)
    if gathered:
        yield Gathered(tuple(gathered))


def _copies(whole: Range) -> Iterator[Copy]:
    """Copies of a range, each of at least ``LEAST_PART`` and at most ``MOST_PART``."""
    count = -(-whole.size // MOST_PART)
    start = 0
    for number in range(1, count + 1):
        end = whole.size * number // count
        yield Copy(Range(whole.index, whole.start + start, end - start))
        start = end


def _split(segment: Literal | Range, size: int) -> tuple[Literal | Range, Literal | Range]:
    if isinstance(segment, Literal):
        return Literal(segment.data[:size]), Literal(segment.data[size:])
    return (
        Range(segment.index, segment.start, size),
        Range(segment.index, segment.start + size, segment.size - size),
    )
