"""The part of the ZIP file format that an archive of stored entries needs.

The module follows PKWARE's APPNOTE.TXT, version 6.3.10 (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
Comments and docstrings give its sections. Entries are stored, not compressed, because S3 copies artifacts into the
archive unchanged. The sizes and CRC-32s of all entries are known before a header is written, which makes data
descriptors (4.3.9) unnecessary. ZIP64 is used only for values that do not fit otherwise.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zlib import crc32

from projects_api.archive.crc32 import combine_crc32

LOCAL_HEADER = 0x04034B50  # 4.3.7
CENTRAL_HEADER = 0x02014B50  # 4.3.12
CENTRAL_HEADER_SIZE = 46  # without name and extra fields
ZIP64_END = 0x06064B50  # 4.3.14
ZIP64_END_LOCATOR = 0x07064B50  # 4.3.15
END = 0x06054B50  # 4.3.16

ZIP64_EXTRA = 0x0001  # 4.5.3
TIMESTAMP_EXTRA = 0x5455  # 4.6.1, and the specification of Info-ZIP, which ``unzip`` contains as proginfo/extrafld.txt
MODIFICATION_TIME = 1  # the only time in our timestamp extras
UTF8_NAMES = 1 << 11  # 4.4.4, bit 11
STORED = 0  # 4.4.5
VERSION_PLAIN = 20  # 4.4.3
VERSION_ZIP64 = 45  # 4.4.3
MADE_BY_UNIX = 3 << 8  # 4.4.2
REGULAR_FILE = 0o100644 << 16  # 4.4.15: the high 16 bits are the Unix mode

MAX_16 = 0xFFFF
MAX_32 = 0xFFFFFFFF

#: Name of the layout that this module gives to headers. Headers of another layout differ in their bytes.
HEADER_LAYOUT = "stored, 0x5455"

#: Latest time of a timestamp extra, in seconds since 1970. Some readers take the time as a signed number.
MAX_TIMESTAMP = 0x7FFFFFFF

#: Earliest and latest time that DOS date and time can represent (4.4.6).
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
LATEST = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of an archive.

    Attributes:
        path: The path in the archive, with ``/`` between folders.
        size: The size in bytes.
        crc32: The CRC-32 of the bytes, unsigned.
        modified: The time of the last change. The archive stores it to the second.
    """

    path: str
    size: int
    crc32: int
    modified: datetime


def local_header(entry: Entry) -> bytes:
    """Return the local header, which precedes the bytes of an entry (4.3.7)."""
    name = entry.path.encode()
    large = entry.size >= MAX_32
    size = MAX_32 if large else entry.size
    extra = _timestamp_extra(entry.modified) + (_zip64_extra(entry.size, entry.size) if large else b"")
    return (
        struct.pack(
            "<IHHHHHIIIHH",
            LOCAL_HEADER,
            VERSION_ZIP64 if large else VERSION_PLAIN,
            UTF8_NAMES,
            STORED,
            *_dos_time(entry.modified),
            entry.crc32,
            size,
            size,
            len(name),
            len(extra),
        )
        + name
        + extra
    )


def central_header(entry: Entry, offset: int) -> bytes:
    """Return the header of an entry in the central directory (4.3.12).

    Args:
        entry: The entry.
        offset: The offset of the entry's local header in the archive.
    """
    name = entry.path.encode()
    large_size, large_offset = entry.size >= MAX_32, offset >= MAX_32
    size = MAX_32 if large_size else entry.size
    zip64 = _zip64_extra(*([entry.size] * 2 if large_size else []), *([offset] if large_offset else []))
    extra = _timestamp_extra(entry.modified) + zip64
    version = VERSION_ZIP64 if zip64 else VERSION_PLAIN
    return (
        struct.pack(
            "<IHHHHHHIIIHHHHHII",
            CENTRAL_HEADER,
            MADE_BY_UNIX | version,
            version,
            UTF8_NAMES,
            STORED,
            *_dos_time(entry.modified),
            entry.crc32,
            size,
            size,
            len(name),
            len(extra),
            0,  # no comment
            0,  # on the first disk
            0,  # internal attributes: not marked as text
            REGULAR_FILE,
            MAX_32 if large_offset else offset,
        )
        + name
        + extra
    )


def end_of_central_directory(*, entries: int, size: int, offset: int) -> bytes:
    """Return the records that end an archive (4.3.14 to 4.3.16).

    Args:
        entries: The number of entries in the central directory.
        size: The size of the central directory in bytes.
        offset: The offset of the central directory in the archive.
    """
    zip64 = b""
    if entries >= MAX_16 or size >= MAX_32 or offset >= MAX_32:
        zip64 = struct.pack(
            "<IQHHIIQQQQ",
            ZIP64_END,
            44,  # size of the rest of this record (4.3.14.1)
            MADE_BY_UNIX | VERSION_ZIP64,
            VERSION_ZIP64,
            0,
            0,
            entries,
            entries,
            size,
            offset,
        ) + struct.pack("<IIQI", ZIP64_END_LOCATOR, 0, offset + size, 1)
    return zip64 + struct.pack(
        "<IHHHHIIH",
        END,
        0,
        0,
        min(entries, MAX_16),
        min(entries, MAX_16),
        min(size, MAX_32),
        min(offset, MAX_32),
        0,
    )


def encode_directory(entries: Sequence[Entry]) -> bytes:
    """Return the central directory of an archive of ``entries`` and the records that end it (4.3.6)."""
    offset, headers = 0, []
    for entry in entries:
        headers.append(central_header(entry, offset))
        offset += len(local_header(entry)) + entry.size
    data = b"".join(headers)
    return data + end_of_central_directory(entries=len(entries), size=len(data), offset=offset)


def archive_crc32(entries: Iterable[Entry], directory: bytes) -> int:
    """Return the CRC-32 of an archive, given its entries and its end, which starts with the directory."""
    checksum = 0
    for entry in entries:
        checksum = combine_crc32(crc32(local_header(entry), checksum), entry.crc32, entry.size)
    return crc32(directory, checksum)


def read_crc32s(directory: bytes, count: int) -> list[int]:
    """Return the CRC-32s of the first ``count`` entries in a central directory that this module has written."""
    position, crc32s = 0, []
    for _ in range(count):
        (checksum,) = struct.unpack_from("<I", directory, position + 16)
        name_size, extra_size = struct.unpack_from("<HH", directory, position + 28)
        crc32s.append(checksum)
        position += CENTRAL_HEADER_SIZE + name_size + extra_size
    return crc32s


def _zip64_extra(*values: int) -> bytes:
    """Return the ZIP64 extended information (4.5.3) for the values that do not fit, or no bytes if all fit."""
    return struct.pack(f"<HH{len(values)}Q", ZIP64_EXTRA, 8 * len(values), *values) if values else b""


def unix_time(moment: datetime) -> int:
    """Return a moment as whole seconds since 1970."""
    return (moment - EPOCH) // SECOND


def _timestamp_extra(moment: datetime) -> bytes:
    """Return the extended timestamp of a moment, or no bytes if the moment does not fit.

    DOS times have no time zone, and readers take them as local times. This time is in UTC, and so right everywhere. The
    field is the same in a local header and in the central directory, because the modification time is the only one.
    """
    seconds = unix_time(moment)
    if not 0 <= seconds <= MAX_TIMESTAMP:
        return b""
    return struct.pack("<HHBI", TIMESTAMP_EXTRA, 5, MODIFICATION_TIME, seconds)


def _dos_time(moment: datetime) -> tuple[int, int]:
    """Return a moment as DOS time and date (4.4.6)."""
    moment = min(max(moment.astimezone(UTC), EARLIEST), LATEST)
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    date = (moment.year - EARLIEST.year) << 9 | moment.month << 5 | moment.day
    return time, date
