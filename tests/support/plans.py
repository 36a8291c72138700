"""The parts of plans, for tests that have neither AWS nor its libraries, such as mutation tests."""

from collections.abc import Sequence

from projects_api.archive.parts import BufferedPart, CopiedPart, Part, Seam, Segment


def list_segments(part: Part) -> Sequence[Segment]:
    """Return all segments of a part of a plan, also those that S3 copies, in their order."""
    match part:
        case CopiedPart(source):
            return [source]
        case Seam(before, source, after):
            return [*before, source, *after]
        case BufferedPart(segments):
            return segments
