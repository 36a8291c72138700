"""The records of the ZIP format, byte for byte. The comments name the fields as APPNOTE 6.3.10 does."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from projects_api.archive.zip_writer import Entry, central_header, end_of_central_directory, local_header

MOMENT = datetime(2026, 2, 10, 9, 41, 2, tzinfo=UTC)
DOS_TIME = 0x4D21  # 9 hours, 41 minutes, 1 pair of seconds
DOS_DATE = 0x5C4A  # 46 years after 1980, month 2, day 10
NAME = "ä.txt".encode()
CRC32 = 0x01020304

#: The smallest value that a field of 16 or 32 bits cannot hold, because its maximum marks a ZIP64 field.
LIMIT_16, LIMIT_32 = 0xFFFF, 0xFFFFFFFF


def build_entry(size: int) -> Entry:
    return Entry("ä.txt", size, CRC32, MOMENT)


def encode(*fields: tuple[int, int]) -> bytes:
    """Return fields as little-endian bytes. Each field is its width in bytes, and its value."""
    return b"".join(value.to_bytes(width, "little") for width, value in fields)


#: The timestamp extra (0x5455): its size, the flag for a modification time, and that time in seconds since 1970.
TIMESTAMP = encode((2, 0x5455), (2, 5), (1, 1), (4, int(MOMENT.timestamp())))


@pytest.mark.parametrize(
    ("size", "version", "field", "zip64"),
    [
        (5, 20, 5, b""),
        (LIMIT_32 - 1, 20, LIMIT_32 - 1, b""),
        (LIMIT_32, 45, LIMIT_32, encode((2, 1), (2, 16), (8, LIMIT_32), (8, LIMIT_32))),
        (5 << 32, 45, LIMIT_32, encode((2, 1), (2, 16), (8, 5 << 32), (8, 5 << 32))),
    ],
)
def test_local_header(size: int, version: int, field: int, zip64: bytes) -> None:
    extra = TIMESTAMP + zip64
    expected = encode(
        (4, 0x04034B50),  # local file header signature
        (2, version),  # version needed to extract
        (2, 0x0800),  # general purpose bit flag: the name is UTF-8
        (2, 0),  # compression method: stored
        (2, DOS_TIME),
        (2, DOS_DATE),
        (4, CRC32),
        (4, field),  # compressed size
        (4, field),  # uncompressed size
        (2, len(NAME)),
        (2, len(extra)),
    )
    assert local_header(build_entry(size)) == expected + NAME + extra


@pytest.mark.parametrize(
    ("size", "offset", "version", "zip64"),
    [
        (5, 7, 20, b""),
        (LIMIT_32 - 1, LIMIT_32 - 1, 20, b""),
        (LIMIT_32, 7, 45, encode((2, 1), (2, 16), (8, LIMIT_32), (8, LIMIT_32))),
        (5, LIMIT_32, 45, encode((2, 1), (2, 8), (8, LIMIT_32))),
        (5 << 32, 6 << 32, 45, encode((2, 1), (2, 24), (8, 5 << 32), (8, 5 << 32), (8, 6 << 32))),
    ],
)
def test_central_header(size: int, offset: int, version: int, zip64: bytes) -> None:
    extra = TIMESTAMP + zip64
    expected = encode(
        (4, 0x02014B50),  # central file header signature
        (1, version),  # version made by
        (1, 3),  # made by: Unix
        (2, version),  # version needed to extract
        (2, 0x0800),  # general purpose bit flag: the name is UTF-8
        (2, 0),  # compression method: stored
        (2, DOS_TIME),
        (2, DOS_DATE),
        (4, CRC32),
        (4, min(size, LIMIT_32)),  # compressed size
        (4, min(size, LIMIT_32)),  # uncompressed size
        (2, len(NAME)),
        (2, len(extra)),
        (2, 0),  # file comment length
        (2, 0),  # disk number start
        (2, 0),  # internal file attributes
        (4, 0o100644 << 16),  # external file attributes: a regular file that all can read
        (4, min(offset, LIMIT_32)),  # relative offset of local header
    )
    assert central_header(build_entry(size), offset) == expected + NAME + extra


@pytest.mark.parametrize(
    ("entries", "size", "offset", "zip64"),
    [
        (3, 200, 100, False),
        (LIMIT_16 - 1, LIMIT_32 - 1, LIMIT_32 - 1, False),
        (LIMIT_16, 200, 100, True),
        (3, LIMIT_32, 100, True),
        (3, 200, LIMIT_32, True),
        (70_000, 5 << 32, 6 << 32, True),
    ],
)
def test_end_of_central_directory(entries: int, size: int, offset: int, zip64: bool) -> None:
    zip64_records = encode(
        (4, 0x06064B50),  # zip64 end of central dir signature
        (8, 44),  # size of the rest of this record
        (2, 0x032D),  # version made by: 4.5 on Unix
        (2, 45),  # version needed to extract
        (4, 0),  # number of this disk
        (4, 0),  # disk with the start of the central directory
        (8, entries),  # on this disk
        (8, entries),  # in total
        (8, size),
        (8, offset),
        (4, 0x07064B50),  # zip64 end of central dir locator signature
        (4, 0),  # disk with the zip64 end of central directory record
        (8, offset + size),  # its offset
        (4, 1),  # total number of disks
    )
    end = encode(
        (4, 0x06054B50),  # end of central dir signature
        (2, 0),  # number of this disk
        (2, 0),  # disk with the start of the central directory
        (2, min(entries, LIMIT_16)),  # on this disk
        (2, min(entries, LIMIT_16)),  # in total
        (4, min(size, LIMIT_32)),
        (4, min(offset, LIMIT_32)),
        (2, 0),  # comment length
    )
    records = end_of_central_directory(entries=entries, size=size, offset=offset)
    assert records == (zip64_records if zip64 else b"") + end


@pytest.mark.parametrize(
    ("moment", "time", "date"),
    [
        (MOMENT.astimezone(timezone(timedelta(hours=5))), DOS_TIME, DOS_DATE),
        (datetime(1970, 1, 1, tzinfo=UTC), 0x0000, 0x0021),  # 1 January 1980
        (datetime(2200, 1, 1, tzinfo=UTC), 0xBF7D, 0xFF9F),  # 31 December 2107, 23:59:58
    ],
)
def test_times_are_in_utc_and_in_the_range_of_the_format(moment: datetime, time: int, date: int) -> None:
    header = local_header(Entry("a", 1, 2, moment))
    assert header[10:14] == encode((2, time), (2, date))
