"""The parts of the multipart uploads that assemble an archive, and the segments that a part consists of."""

from collections.abc import Sequence
from dataclasses import dataclass

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
class PreviousRange:
    """A range of bytes of the previous archive, from the offset ``start``: whole entries with their headers."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Directory:
    """A range of bytes of the central directory and the records that end it, from the offset ``start``."""

    start: int
    size: int


#: Bytes that S3 can copy. The ``Range`` is always one of an artifact, never of the manifest.
type Source = Range | PreviousRange

type Segment = Header | Directory | Source


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """A part that S3 copies."""

    source: Source

    @property
    def size(self) -> int:
        return self.source.size

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments that go through the worker."""
        return ()


@dataclass(frozen=True, slots=True)
class BufferedPart:
    """A part whose bytes go through the worker."""

    segments: tuple[Segment, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Seam:
    """A part that S3 copies from a helper object: bytes from the worker before or after a copy, or both.

    Bytes before the copy need a second helper, because only the last part of an upload may be small. The first helper
    consists of a padding (``plan.padding_of``) and of those bytes. The second one joins the first helper
    and the copy. The archive gets the second one without the padding.
    """

    before: tuple[Segment, ...]
    source: Source
    after: tuple[Segment, ...]

    @property
    def size(self) -> int:
        return size_of(self.before) + self.source.size + size_of(self.after)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments that go through the worker."""
        return self.before + self.after


type Part = CopiedPart | BufferedPart | Seam


def needs_all_checksums(part: Part) -> bool:
    """Return whether a part contains bytes of the manifest or the directory, which list all checksums."""
    return any(
        isinstance(segment, Directory) or (isinstance(segment, Header | Range) and segment.index == MANIFEST)
        for segment in part.segments
    )


def list_headers(part: Part) -> list[int]:
    """Return the indexes of the entries, without the manifest, whose headers the worker writes into a part."""
    return [segment.index for segment in part.segments if isinstance(segment, Header) and segment.index != MANIFEST]


def copied_entry(part: Part) -> int | None:
    """Return the index of the entry whose artifact S3 copies into a part, or None if S3 copies no artifact."""
    match part:
        case CopiedPart(Range(index)) | Seam(source=Range(index)):
            return index
        case _:
            return None


def is_read(segment: Segment) -> bool:
    """Return whether the worker reads a segment from S3."""
    return isinstance(segment, PreviousRange) or (isinstance(segment, Range) and segment.index != MANIFEST)


def size_of(segments: Sequence[Segment]) -> int:
    """Return the size of some segments in bytes."""
    return sum(segment.size for segment in segments)
