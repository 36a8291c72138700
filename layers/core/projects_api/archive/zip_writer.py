"""The ZIP file format, as far as an archive of stored entries needs it.

After PKWARE's APPNOTE.TXT, version 6.3.10; the sections are named where they are followed. Entries are stored, not
compressed, so that an entry's bytes are its object's bytes. Sizes and CRC-32s are known before anything is written,
so that there are no data descriptors. ZIP64 is used where, and only where, a value does not fit.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime

LOCAL_HEADER = 0x04034B50  # 4.3.7
CENTRAL_HEADER = 0x02014B50  # 4.3.12
ZIP64_END = 0x06064B50  # 4.3.14
ZIP64_END_LOCATOR = 0x07064B50  # 4.3.15
END = 0x06054B50  # 4.3.16

ZIP64_EXTRA = 0x0001  # 4.5.3
UTF8_NAMES = 1 << 11  # 4.4.4, bit 11
STORED = 0  # 4.4.5
VERSION_PLAIN = 20  # 4.4.3
VERSION_ZIP64 = 45  # 4.4.3
MADE_BY_UNIX = 3 << 8  # 4.4.2
REGULAR_FILE = 0o100644 << 16  # 4.4.15: the high half holds Unix's mode

MAX_16 = 0xFFFF
MAX_32 = 0xFFFFFFFF

#: What fits into DOS's date and time (4.4.6).
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
LATEST = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive.

    Attributes:
        path: Its name, with ``/`` between folders.
        size: In bytes.
        crc32: Of its bytes, unsigned.
        modified: When it was last changed; kept to two seconds, in UTC.
    """

    path: str
    size: int
    crc32: int
    modified: datetime


def local_header(entry: Entry) -> bytes:
    """What stands before an entry's bytes (4.3.7)."""
    name = entry.path.encode()
    large = entry.size >= MAX_32
    size = MAX_32 if large else entry.size
    extra = _zip64_extra(entry.size, entry.size) if large else b""
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
    """An entry's record in the central directory (4.3.12); ``offset`` is where its local header begins."""
    name = entry.path.encode()
    large_size, large_offset = entry.size >= MAX_32, offset >= MAX_32
    size = MAX_32 if large_size else entry.size
    extra = _zip64_extra(*([entry.size] * 2 if large_size else []), *([offset] if large_offset else []))
    version = VERSION_ZIP64 if extra else VERSION_PLAIN
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
            0,  # internal attributes: not known to be text
            REGULAR_FILE,
            MAX_32 if large_offset else offset,
        )
        + name
        + extra
    )


def end_of_central_directory(*, entries: int, size: int, offset: int) -> bytes:
    """What ends an archive (4.3.14 to 4.3.16).

    Args:
        entries: How many the central directory has.
        size: The central directory's, in bytes.
        offset: Where it begins.
    """
    zip64 = b""
    if entries >= MAX_16 or size >= MAX_32 or offset >= MAX_32:
        zip64 = struct.pack(
            "<IQHHIIQQQQ",
            ZIP64_END,
            44,  # what follows of this record (4.3.14.1)
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


def _zip64_extra(*values: int) -> bytes:
    """The ZIP64 extended information (4.5.3) of the values that do not fit, or nothing where all do."""
    return struct.pack(f"<HH{len(values)}Q", ZIP64_EXTRA, 8 * len(values), *values) if values else b""


def _dos_time(moment: datetime) -> tuple[int, int]:
    """DOS's time and date (4.4.6)."""
    moment = min(max(moment.astimezone(UTC), EARLIEST), LATEST)
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    date = (moment.year - EARLIEST.year) << 9 | moment.month << 5 | moment.day
    return time, date
