"""Reader of a ZIP archive's central directory, from a file or by ranges.

The sections are those of PKWARE's APPNOTE.TXT, version 6.3.10
(https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from projects_client.errors import DamagedArchiveError

#: Returns the bytes from one offset to before another one.
ReadRange: TypeAlias = Callable[[int, int], bytes]

#: Bytes read at the end of an archive in the first request: the directory of about 2,000 files.
TAIL_SIZE = 1 << 18

LOCAL_HEADER_SIZE = 30  # 4.3.7, without name and extra field
STORED = 0  # 4.4.5

_CENTRAL: Final = struct.Struct("<IHHHHHHIIIHHHHHII")  # 4.3.12
_END: Final = struct.Struct("<IHHHHIIH")  # 4.3.16
_ZIP64_LOCATOR: Final = struct.Struct("<IIQI")  # 4.3.15
_ZIP64_END: Final = struct.Struct("<IQHHIIQQQQ")  # 4.3.14
_CENTRAL_SIGNATURE, _ZIP64_END_SIGNATURE, _LOCATOR_SIGNATURE = 0x02014B50, 0x06064B50, 0x07064B50
_ZIP64_EXTRA = 0x0001  # 4.5.3
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF
_MAX_DIRECTORY = 1 << 30


@dataclass(frozen=True)
class ZipEntry:
    """Entry of an archive.

    Attributes:
        path: Path in the archive.
        size: Uncompressed size in bytes.
        compressed_size: Size in the archive in bytes.
        crc32: CRC-32 of the content.
        method: Compression method; 0 is stored.
        header_offset: Offset of the local header.
        end: Offset after the entry, where the next one or the directory starts.
        identity: All that the directory says about the entry, except its offset.
    """

    path: str
    size: int
    compressed_size: int
    crc32: int
    method: int = field(repr=False)
    header_offset: int = field(repr=False)
    end: int = field(repr=False)
    identity: tuple[object, ...] = field(repr=False)


def read_directory(size: int, read: ReadRange) -> dict[str, ZipEntry]:
    """Return the entries of an archive by their paths, in the order of their offsets.

    Args:
        size: Size of the archive in bytes.
        read: Reads a range of it.

    Raises:
        DamagedArchiveError: The bytes are not a ZIP archive.
    """
    try:
        return _read_directory(size, read)
    except (struct.error, UnicodeDecodeError, IndexError):
        raise DamagedArchiveError("The archive is damaged: its directory is not valid.") from None


def _read_directory(size: int, read: ReadRange) -> dict[str, ZipEntry]:
    tail_start = max(0, size - TAIL_SIZE)
    tail = read(tail_start, size)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0:
        raise DamagedArchiveError("The file is damaged or is not a ZIP archive: its directory is missing.")
    count, directory_size, directory_offset = _END.unpack_from(tail, end)[4:7]
    if count == _MAX_16 or _MAX_32 in (directory_size, directory_offset):
        signature, _, zip64_offset, _ = _ZIP64_LOCATOR.unpack_from(tail, end - _ZIP64_LOCATOR.size)
        if signature == _LOCATOR_SIGNATURE:
            record = _ZIP64_END.unpack(read(zip64_offset, zip64_offset + _ZIP64_END.size))
            if record[0] != _ZIP64_END_SIGNATURE:
                raise DamagedArchiveError("The archive is damaged: its directory is not valid.")
            count, directory_size, directory_offset = record[7:10]
    if directory_offset + directory_size > size or directory_size > _MAX_DIRECTORY:
        raise DamagedArchiveError("The archive is damaged: its directory is not valid.")
    if directory_offset >= tail_start:
        directory = tail[directory_offset - tail_start :][:directory_size]
    else:
        middle = read(directory_offset, min(tail_start, directory_offset + directory_size))
        directory = (middle + tail)[:directory_size]
    return _parse_directory(directory, count, directory_offset)


def _parse_directory(directory: bytes, count: int, directory_offset: int) -> dict[str, ZipEntry]:
    rows, position = [], 0
    for _ in range(count):
        values = _CENTRAL.unpack_from(directory, position)
        if values[0] != _CENTRAL_SIGNATURE:
            raise DamagedArchiveError("The archive is damaged: its directory is not valid.")
        (
            _,
            made_by,
            _,
            flags,
            method,
            time,
            date,
            crc32,
            compressed,
            size,
            names,
            extras,
            comments,
            _,
            _,
            mode,
            offset,
        ) = values
        start = position + _CENTRAL.size
        name, extra = directory[start : start + names], directory[start + names : start + names + extras]
        position = start + names + extras + comments
        others, zip64 = _split_extra(extra)
        size, zip64 = _take(size, zip64)
        compressed, zip64 = _take(compressed, zip64)
        offset, _ = _take(offset, zip64)
        identity = (name, made_by >> 8, flags, method, time, date, crc32, compressed, size, others, mode)
        rows.append((offset, name.decode("utf-8"), size, compressed, crc32, method, identity))
    rows.sort(key=lambda row: row[0])
    ends = [*(row[0] for row in rows[1:]), directory_offset][: len(rows)]
    return {
        path: ZipEntry(path, size, compressed, crc32, method, offset, end, (*identity, end - offset))
        for (offset, path, size, compressed, crc32, method, identity), end in zip(rows, ends, strict=True)
    }


def _split_extra(extra: bytes) -> tuple[bytes, bytes]:
    """Return the extra fields other than ZIP64, and the values of the ZIP64 field."""
    others, zip64, position = b"", b"", 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        if kind == _ZIP64_EXTRA:
            zip64 = extra[position + 4 : position + 4 + length]
        else:
            others += extra[position : position + 4 + length]
        position += 4 + length
    return others, zip64


def _take(value: int, zip64: bytes) -> tuple[int, bytes]:
    """Return a 32-bit value, or the 64-bit value that replaces it, and the rest of the ZIP64 field."""
    if value != _MAX_32:
        return value, zip64
    return struct.unpack_from("<Q", zip64)[0], zip64[8:]
