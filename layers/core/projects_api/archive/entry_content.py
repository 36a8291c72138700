"""The content of entries of an archive, verified by its size and CRC-32 while it is read."""

import zlib
from collections.abc import Iterable, Iterator

from projects_api.archive.central_directory import ArchiveEntry
from projects_api.archive.end_records import Read
from projects_api.archive.inflate import WRONG_CHECKSUM, InflateError, inflate
from projects_api.archive.zip_writer import STORED

#: Bytes of an archive that one request reads.
READ_SIZE = 8 << 20


def unpack(entry: ArchiveEntry, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of an entry.

    Args:
        entry: The entry.
        chunks: Its bytes in the archive.

    Raises:
        InflateError: The content is not what the directory states. A wrong checksum is found after the last piece.
    """
    if entry.method != STORED:
        yield from inflate(chunks, size=entry.size, crc32=entry.crc32)
        return
    checksum = 0
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
        yield chunk
    if checksum != entry.crc32:
        raise InflateError(WRONG_CHECKSUM)


def read_content(read: Read, entry: ArchiveEntry) -> Iterator[bytes]:
    """Yield the content of an entry, by reading ranges of the archive.

    Raises:
        InflateError: As for ``unpack``.
    """
    return unpack(
        entry,
        (
            read(entry.data_offset + offset, min(READ_SIZE, entry.compressed_size - offset))
            for offset in range(0, entry.compressed_size, READ_SIZE)
        ),
    )
