"""The plan of an archive: the parts of the multipart uploads that assemble it, and the source of the bytes of each.

The plan needs no access to AWS, and the same arguments always give the same plan. A stored ZIP entry is a header
followed by the bytes of the file, and S3 can copy a range of an object into a part. The sources of an archive are the
artifacts, the previous archive, which contains unchanged entries with their headers, and the worker. Between two copies
lies a run of bytes from the worker: headers, small files, the manifest or the directory. There are three kinds of part:

- A copied part: S3 copies it from an artifact or from the previous archive.
- A buffered part: its bytes go through the worker. If little is missing to ``MIN_PART_SIZE``, it contains the first
  bytes of the following copy.
- A seam: a run that is much too small for a part, with a piece of a neighboring copy. S3 joins the two in a helper
  object, because the last part of an upload may be small, and copies the helper into the archive.

The plan does not depend on checksums, because they have a fixed width in headers, manifest and directory. A header is
written after the copies of its file, which return the checksum. The entry at index 0 is the manifest. It is no object
in S3, and it lists the checksums of all other entries. The bytes of the archive do not depend on the plan.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from itertools import accumulate, pairwise
from types import MappingProxyType

from projects_api.archive import zip_writer
from projects_api.archive.parts import (
    MANIFEST,
    BufferedPart,
    CopiedPart,
    Directory,
    Header,
    Part,
    PreviousRange,
    Range,
    Seam,
    Segment,
    Source,
    size_of,
)
from projects_api.archive.zip_writer import Entry
from projects_api.entities.upload import MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE

MIB = 1 << 20
GIB = 1 << 30

#: Size of the largest archive, in bytes: that of the largest object.
MAX_ARCHIVE_SIZE = MAX_PARTS * MAX_PART_SIZE

#: Size at which a buffered part is complete, in bytes. Files are not split to fit. A buffered part can therefore exceed
#: this size by two times ``MIN_PART_SIZE`` and two headers.
BUFFERED_PART_SIZE = 8 * MIB

#: Most bytes that the worker reads from the following copy to fill a part. If more are missing, the part becomes a
#: seam, which costs four requests more. docs/benchmarks/archive.md compares the two.
MAX_GATHERED_SIZE = MIB

#: Largest copied part, in bytes. Larger files become several parts, which S3 copies in parallel.
COPY_PART_SIZE = 256 * MIB

#: Maximum number of copied parts in an archive, plus one for each file. In a huge archive, copied parts grow beyond
#: ``COPY_PART_SIZE`` to stay within this number.
MAX_COPY_PARTS = 5_000


def is_copied(size: int) -> bool:
    """Return whether S3 copies a file or a span of ``size`` bytes, at least in part, into an archive."""
    return size >= MIN_PART_SIZE


def padding_of(seam: Seam) -> Source:
    """Return the padding of a seam: any bytes that S3 can copy and that are enough for a part."""
    return replace(seam.source, size=MIN_PART_SIZE)


@dataclass(frozen=True)
class Plan:
    """The plan of an archive.

    Attributes:
        parts: The parts in their order. All but the last have at least ``MIN_PART_SIZE`` bytes.
        offsets: The offset of each entry's local header in the archive, and the offset of the directory.
        size: The size of the archive in bytes.
    """

    parts: tuple[Part, ...]
    offsets: tuple[int, ...]
    size: int

    @cached_property
    def volumes(self) -> tuple[range, ...]:
        """The indexes of the parts of each multipart upload.

        An archive of at most ``MAX_PARTS`` parts has one volume, which is the archive. A larger archive has several:
        each becomes an object, and ``joins`` copies these objects into the archive.
        """
        count = -(-len(self.parts) // MAX_PARTS)
        bounds = [len(self.parts) * number // count for number in range(count + 1)]
        return tuple(range(start, end) for start, end in pairwise(bounds))

    @cached_property
    def joins(self) -> tuple[Range, ...]:
        """The ranges of the volumes that make the archive, in their order."""
        return tuple(
            join
            for index, volume in enumerate(self.volumes)
            for join in _split_evenly(Range(index, 0, self.volume_size(volume)), _max_copy_size(self.size))
        )

    def volume_size(self, volume: range) -> int:
        """Return the size of a volume in bytes."""
        return sum(part.size for part in self.parts[volume.start : volume.stop])

    @cached_property
    def _part_ends(self) -> list[int]:
        return list(accumulate(part.size for part in self.parts))

    def count_completed_files(self, number: int) -> int:
        """Return the number of files whose last byte is in the part at the index ``number``, without the manifest."""
        end = self._part_ends[number]
        start = end - self.parts[number].size
        # a file ends where the next header, or the directory, starts
        return bisect_right(self.offsets, end, lo=MANIFEST + 2) - bisect_right(self.offsets, start, lo=MANIFEST + 2)

    @cached_property
    def digest(self) -> str:
        """A digest of the parts, without the bytes of the buffered ones.

        Two versions of this program can plan the same archive differently. The digest tells such plans apart, because
        their parts must not be mixed.
        """
        layout = ",".join(f"{type(part).__name__} {part.size} {getattr(part, 'source', '')}" for part in self.parts)
        return sha256(layout.encode()).hexdigest()


def plan(entries: Sequence[Entry], unchanged: Mapping[int, int] = MappingProxyType({})) -> Plan:
    """Return the plan of an archive.

    Args:
        entries: The entries, the manifest first. Their checksums are ignored.
        unchanged: The offsets, in the previous archive, of the entries that it contains unchanged, by their index.
    """
    sizes = [len(zip_writer.local_header(entry)) for entry in entries]
    offsets = tuple(accumulate((size + entry.size for size, entry in zip(sizes, entries, strict=True)), initial=0))
    directory_size = len(zip_writer.encode_directory(entries))
    planner = _Planner(_max_copy_size(offsets[-1]))
    planner.add_in_slices(Header(MANIFEST, sizes[MANIFEST]))
    planner.add_in_slices(Range(MANIFEST, 0, entries[MANIFEST].size))
    span: PreviousRange | None = None
    for index in range(1, len(entries)):
        size = offsets[index + 1] - offsets[index]
        offset = unchanged.get(index)
        if span and offset == span.start + span.size:
            span = replace(span, size=span.size + size)
            continue
        if span:
            planner.add_source((), span)
        span = None if offset is None else PreviousRange(offset, size)
        if offset is None:
            planner.add_source((Header(index, sizes[index]),), Range(index, 0, entries[index].size))
    if span:
        planner.add_source((), span)
    planner.add_in_slices(Directory(0, directory_size))
    return Plan(tuple(planner.finish()), offsets, offsets[-1] + directory_size)


@dataclass
class _Planner:
    """The parts of an archive up to a point.

    Attributes:
        max_copy_size: The largest size of a copied part.
        parts: The parts that are complete.
        source: The last source that S3 copies, or the part of it that ``parts`` does not contain yet. It can be empty.
        run: The bytes after ``source``, in pieces that must not be split.
    """

    max_copy_size: int
    parts: list[Part] = field(default_factory=list)
    source: Source | None = None
    run: list[tuple[Segment, ...]] = field(default_factory=list)

    def add_in_slices(self, segment: Segment) -> None:
        """Add bytes from the worker that can be split."""
        for piece in (
            [segment] if isinstance(segment, Header) else _split_evenly(segment, max(1, BUFFERED_PART_SIZE // 4))
        ):
            self.run.append((piece,))

    def add_source(self, header: tuple[Segment, ...], source: Source) -> None:
        """Add a source, which S3 copies if it is large enough, and the header before it."""
        if not is_copied(source.size):
            self.run.append((*header, source) if source.size else header)
            return
        if header:
            self.run.append(header)
        size = sum(map(size_of, self.run))
        missing = MIN_PART_SIZE - size
        if missing <= 0:
            self._copy(self.source)
            self._buffer(size, rest_may_be_small=False)
        elif size:
            run = tuple(segment for piece in self.run for segment in piece)
            if missing <= MAX_GATHERED_SIZE and source.size - missing >= MIN_PART_SIZE:
                self._copy(self.source)
                gathered, source = _split(source, missing)
                self.parts.append(BufferedPart((*run, gathered), MIN_PART_SIZE))
            else:
                source = self._add_seam(run, source)
        else:
            self._copy(self.source)
        self.source, self.run = source, []

    def _add_seam(self, run: tuple[Segment, ...], following: Source) -> Source:
        """Add a seam and return the rest of the ``following`` source."""
        previous, last = self.source, self.parts[-1] if self.parts else None
        if previous and previous.size:
            rest = previous.size - MIN_PART_SIZE
            if rest >= MIN_PART_SIZE:
                head, previous = _split(previous, rest)
                self._copy(head)
            self.parts.append(Seam((), previous, run))
        elif isinstance(last, Seam) and not last.after:
            self.parts[-1] = replace(last, after=run)
        else:
            size = MIN_PART_SIZE if following.size >= 2 * MIN_PART_SIZE else following.size
            head, following = _split(following, size)
            self.parts.append(Seam(run, head, ()))
        return following

    def _copy(self, source: Source | None) -> None:
        if source and source.size:
            self.parts += [CopiedPart(piece) for piece in _split_evenly(source, self.max_copy_size)]

    def _buffer(self, size: int, *, rest_may_be_small: bool) -> None:
        """Add the run, of ``size`` bytes, in buffered parts."""
        segments: list[Segment] = []
        buffered = 0
        for piece in self.run:
            segments += piece
            buffered += size_of(piece)
            size -= size_of(piece)
            if buffered >= BUFFERED_PART_SIZE and size and (rest_may_be_small or size >= MIN_PART_SIZE):
                self.parts.append(BufferedPart(tuple(segments), buffered))
                segments, buffered = [], 0
        self.parts.append(BufferedPart(tuple(segments), buffered))

    def finish(self) -> list[Part]:
        """Return all parts. The last one may be small."""
        self._copy(self.source)
        self._buffer(sum(map(size_of, self.run)), rest_may_be_small=True)
        return self.parts


def _max_copy_size(total: int) -> int:
    """Return the largest size of a copied part in an archive of about ``total`` bytes."""
    return min(MAX_PART_SIZE, max(COPY_PART_SIZE, total // MAX_COPY_PARTS))


def _split[T: Range | PreviousRange](source: T, size: int) -> tuple[T, T]:
    """Return the first ``size`` bytes of a source, and the rest."""
    return (
        replace(source, size=size),
        replace(source, start=source.start + size, size=source.size - size),
    )


def _split_evenly[T: Range | PreviousRange | Directory](whole: T, max_size: int) -> list[T]:
    """Return ``whole`` as the smallest number of pieces of at most ``max_size`` bytes, all of about the same size."""
    count = -(-whole.size // max_size)
    bounds = [whole.size * number // count for number in range(count + 1)] if count else []
    return [replace(whole, start=whole.start + start, size=end - start) for start, end in pairwise(bounds)]
