"""The end records of a ZIP archive (APPNOTE.TXT, 4.3.14 to 4.3.16), which tell where the central directory is."""

import struct
from collections.abc import Callable
from typing import NamedTuple

from projects_api.archive.archive_errors import ArchiveError
from projects_api.archive.zip_writer import CENTRAL_HEADER_SIZE, END, MAX_16, MAX_32, ZIP64_END, ZIP64_END_LOCATOR

#: Returns ``size`` bytes of the archive from the offset ``start``.
type Read = Callable[[int, int], bytes]

_END = struct.Struct("<IHHHHIIH")  # 4.3.16
_ZIP64_END_LOCATOR = struct.Struct("<IIQI")  # 4.3.15
_ZIP64_END = struct.Struct("<IQHHIIQQQQ")  # 4.3.14

#: Size of the part of the ZIP64 end record that its own size field does not count (4.3.14.1).
_ZIP64_END_PREFIX = 12


class Directory(NamedTuple):
    """The position of the central directory.

    Attributes:
        offset: Its offset in the archive.
        size: Its size in bytes.
        entries: Its number of entries.
    """

    offset: int
    size: int
    entries: int


def build_error(text: str) -> ArchiveError:
    """Return the error of an archive with a single error."""
    return ArchiveError([text], 1)


def find_directory(read: Read, size: int) -> Directory:
    """Return the position of the central directory according to the records at the end (4.3.14 to 4.3.16)."""
    tail_size = min(size, _END.size + MAX_16 + _ZIP64_END_LOCATOR.size + _ZIP64_END.size)
    tail_start = size - tail_size
    tail = read_exactly(read, tail_start, tail_size)
    position = _find_end(tail)
    _, disk, first_disk, entries_here, entries, directory_size, offset, _ = _END.unpack_from(tail, position)
    end_of_directory = tail_start + position
    locator = position - _ZIP64_END_LOCATOR.size
    if locator >= 0 and tail.startswith(struct.pack("<I", ZIP64_END_LOCATOR), locator):
        zip64_directory, end_of_directory = _read_zip64_end(read, tail, tail_start, locator)
        plain_and_zip64 = (
            (entries_here, zip64_directory.entries, MAX_16),
            (entries, zip64_directory.entries, MAX_16),
            (directory_size, zip64_directory.size, MAX_32),
            (offset, zip64_directory.offset, MAX_32),
        )
        if any(plain not in {zip64, maximum} for plain, zip64, maximum in plain_and_zip64):
            raise build_error("The ZIP64 end record contradicts the end record.")
        directory = zip64_directory
        disk, first_disk = (0 if number == MAX_16 else number for number in (disk, first_disk))
    else:
        directory = Directory(offset, directory_size, entries)
        if entries_here != entries:
            disk = 1
    if disk or first_disk:
        raise build_error("The archive is split into several files: join them first.")
    if directory.offset + directory.size != end_of_directory:
        raise build_error(
            "The central directory does not end where the end records begin: the archive is incomplete, has bytes in "
            "front of it, or has bytes after the directory."
        )
    if directory.entries * CENTRAL_HEADER_SIZE > directory.size:
        raise build_error(f"The central directory is too small for {directory.entries} entries.")
    return directory


def _find_end(tail: bytes) -> int:
    """Return the position of the end record in the last bytes of the archive. Its comment must reach the last byte."""
    signature = struct.pack("<I", END)
    candidates = []
    position = tail.find(signature)
    while position >= 0:
        comment = position + _END.size
        if comment <= len(tail) and _END.unpack_from(tail, position)[-1] == len(tail) - comment:
            candidates.append(position)
        position = tail.find(signature, position + 1)
    if not candidates:
        raise build_error("This is not a ZIP archive, or it is incomplete: it does not end with an end record.")
    if len(candidates) > 1:
        raise build_error("The archive has more than one end record.")
    return candidates[0]


def _read_zip64_end(read: Read, tail: bytes, tail_start: int, locator: int) -> tuple[Directory, int]:
    """Return the position of the central directory and the offset of the ZIP64 end record (4.3.14, 4.3.15)."""
    _, disk, offset, disks = _ZIP64_END_LOCATOR.unpack_from(tail, locator)
    locator_offset = tail_start + locator
    if disk or disks > 1:
        raise build_error("The archive is split into several files: join them first.")
    if offset + _ZIP64_END.size > locator_offset:
        raise build_error("The ZIP64 locator points to no ZIP64 end record.")
    if offset >= tail_start:
        record = tail[offset - tail_start : offset - tail_start + _ZIP64_END.size]
    else:
        record = read_exactly(read, offset, _ZIP64_END.size)
    signature, record_size, _, _, disk, first_disk, entries_here, entries, size, start = _ZIP64_END.unpack(record)
    if signature != ZIP64_END or offset + _ZIP64_END_PREFIX + record_size != locator_offset:
        raise build_error("The ZIP64 locator points to no ZIP64 end record.")
    if disk or first_disk or entries_here != entries:
        raise build_error("The archive is split into several files: join them first.")
    return Directory(start, size, entries), offset


def read_exactly(read: Read, start: int, size: int) -> bytes:
    data = read(start, size)
    if len(data) != size:
        raise build_error("The archive ends early.")
    return data
