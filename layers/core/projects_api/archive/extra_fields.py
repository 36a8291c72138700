"""The extra fields of headers in a ZIP archive (APPNOTE.TXT, 4.5)."""

import struct
from collections.abc import Iterator

from projects_api.archive.zip_writer import MAX_32, ZIP64_EXTRA

UNICODE_PATH_EXTRA = 0x7075  # 4.6.9


def split_extra_fields(extra: bytes) -> dict[int, bytes]:
    """Return the extra fields of a header by their id (4.5.1). Up to three bytes of padding are ignored."""
    fields: dict[int, bytes] = {}
    position = 0
    while len(extra) - position >= 4:  # noqa: PLR2004 - the size of an id and a size
        field_id, size = struct.unpack_from("<HH", extra, position)
        position += 4
        if position + size > len(extra):
            raise ValueError("its extra fields are malformed")
        if field_id in fields and field_id in {ZIP64_EXTRA, UNICODE_PATH_EXTRA}:
            raise ValueError("it has the same extra field twice")
        fields[field_id] = extra[position : position + size]
        position += size
    return fields


def apply_zip64(zip64: bytes, *values: tuple[int, int, int]) -> Iterator[int]:
    """Yield each value, or its replacement from the ZIP64 extended information (4.5.3) if it is the maximum.

    A header that has the maximum but no replacement means the maximum. Superfluous replacements are ignored.

    Args:
        zip64: The bytes of the extra field.
        values: For each value, the value in the header, the maximum, and the size of its replacement in bytes.
    """
    position = 0
    for value, maximum, width in values:
        if value != maximum or not zip64:
            yield value
            continue
        if position + width > len(zip64):
            raise ValueError("its ZIP64 field is too short")
        yield int.from_bytes(zip64[position : position + width], "little")
        position += width


def apply_local_zip64(zip64: bytes, size: int, compressed_size: int) -> tuple[int, int]:
    """Return the sizes in a local header. Its ZIP64 extended information has both sizes, or neither (4.5.3).

    Some tools leave out the size that fits into the header.
    """
    if MAX_32 not in {size, compressed_size} or len(zip64) < 16:  # noqa: PLR2004 - two numbers of 8 bytes
        size, compressed_size = apply_zip64(zip64, (size, MAX_32, 8), (compressed_size, MAX_32, 8))
        return size, compressed_size
    zip64_size, zip64_compressed_size = struct.unpack_from("<QQ", zip64)
    return (
        zip64_size if size == MAX_32 else size,
        zip64_compressed_size if compressed_size == MAX_32 else compressed_size,
    )
