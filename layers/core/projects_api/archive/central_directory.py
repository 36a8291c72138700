"""The central directory of a ZIP archive (APPNOTE.TXT, 4.3.12), checked entry by entry."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from projects_api.archive.archive_errors import ErrorList
from projects_api.archive.end_records import Directory, Read, build_error, read_exactly
from projects_api.archive.entry_names import check_path, decode_name
from projects_api.archive.extra_fields import UNICODE_PATH_EXTRA, apply_zip64, split_extra_fields
from projects_api.archive.zip_writer import CENTRAL_HEADER, MAX_16, MAX_32, STORED, ZIP64_EXTRA
from projects_api.entities.errors import redact

DEFLATED = 8  # 4.4.5
ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13  # 4.4.4: encryption, strong encryption, masked headers
PATCH = 1 << 5  # 4.4.4: compressed patched data
LOCAL_HEADER_SIZE = 30  # 4.3.7, without name and extra fields

_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")  # 4.3.12

#: Unix file types in the high 16 bits of the external attributes (4.4.15), and the ones that an archive may contain.
_FILE_TYPE_MASK = 0o170000
_REGULAR, _FOLDER = 0o100000, 0o040000

GIB = 1 << 30
MIB = 1 << 20

#: Bytes that one read of the central directory returns.
DIRECTORY_CHUNK = 1 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an archive that is imported. Sizes are in bytes.

    Attributes:
        archive_size: Size of the archive.
        entries: Number of entries, including folders.
        directory_size: Size of the central directory.
        name_size: Size of an entry's name.
        depth: Number of folders around a file.
        inflated_size: Size of a deflated entry after decompression.
        ratio: Size of a deflated entry after decompression, divided by its compressed size.
        ratio_exempt_size: Size up to which the ratio of an entry does not matter.
    """

    archive_size: int = 5 << 40
    entries: int = 250_000
    directory_size: int = 128 * MIB
    name_size: int = 2_048
    depth: int = 512
    inflated_size: int = 10 * GIB
    ratio: int = 200
    ratio_exempt_size: int = 10 * MIB


@dataclass(slots=True)
class ArchiveEntry:
    """A file in an archive.

    Attributes:
        path: The path, in NFC and with ``/`` between folders.
        method: ``STORED`` or ``DEFLATED``.
        compressed_size: The number of bytes in the archive.
        size: The size of the file in bytes.
        crc32: The CRC-32 of the file.
        header_offset: The offset of the local header.
        data_offset: The offset of the first byte of the data.
    """

    path: str
    method: int
    compressed_size: int
    size: int
    crc32: int
    header_offset: int
    data_offset: int = 0


class Header(NamedTuple):
    """The attributes of an entry that its local header must repeat."""

    entry: ArchiveEntry
    flags: int
    raw_name: bytes


def read_directory(read: Read, directory: Directory, limits: Limits, errors: ErrorList) -> list[Header]:
    """Return the entries of the central directory (4.3.12), and add an error for each invalid one."""
    headers: list[Header] = []
    paths: set[str] = set()
    for number, (fixed, raw_name, extra) in enumerate(_split_directory(read, directory), 1):
        try:
            header = _parse_central_header(fixed, raw_name, extra, directory, limits)
        except ValueError as error:
            errors.add(f"Entry {number}, {_show_name(raw_name)}: {error}.")
            continue
        path = header.entry.path
        if path in paths:
            errors.add(f"Entry {number}, {redact(path)}: the archive has this entry twice.")
            continue
        paths.add(path)
        headers.append(header)
    return headers


def _show_name(raw_name: bytes) -> str:
    return redact(raw_name.decode(errors="replace"))


def _split_directory(read: Read, directory: Directory) -> Iterator[tuple[tuple[int, ...], bytes, bytes]]:
    """Yield the fixed fields, the name and the extra fields of each header in the central directory."""
    buffer, position, offset, end = b"", 0, directory.offset, directory.offset + directory.size
    for _ in range(directory.entries):
        needed = _CENTRAL.size
        for _ in range(2):  # first the fixed fields, which state the size of the others
            while len(buffer) - position < needed and offset < end:
                chunk = read_exactly(read, offset, min(DIRECTORY_CHUNK, end - offset))
                buffer, position, offset = buffer[position:] + chunk, 0, offset + len(chunk)
            if len(buffer) - position < needed:
                raise build_error("The central directory has fewer entries than the end record states.")
            fields = _CENTRAL.unpack_from(buffer, position)
            if fields[0] != CENTRAL_HEADER:
                raise build_error("The central directory contains something that is not an entry.")
            name_size, extra_size, comment_size = fields[10:13]
            needed = _CENTRAL.size + name_size + extra_size + comment_size
        name_start = position + _CENTRAL.size
        extra_start = name_start + name_size
        yield fields, buffer[name_start:extra_start], buffer[extra_start : extra_start + extra_size]
        position += needed
    if offset < end or position < len(buffer):
        raise build_error("The central directory has more bytes than its entries need.")


def _parse_central_header(
    fields: tuple[int, ...], raw_name: bytes, extra: bytes, directory: Directory, limits: Limits
) -> Header:
    """Return a checked entry. The message of a ValueError completes a sentence about the entry."""
    _, _, _, flags, method, _, _, crc32, compressed_size, size, _, _, _, disk, _, attributes, offset = fields
    if flags & ENCRYPTED:
        raise ValueError("it is encrypted, which an import does not support")
    if flags & PATCH:
        raise ValueError("it is a patch, which an import does not support")
    if len(raw_name) > limits.name_size:
        raise ValueError(f"its name has more than {limits.name_size} bytes")
    extras = split_extra_fields(extra)
    size, compressed_size, offset, disk = apply_zip64(
        extras.get(ZIP64_EXTRA, b""),
        (size, MAX_32, 8),
        (compressed_size, MAX_32, 8),
        (offset, MAX_32, 8),
        (disk, MAX_16, 4),
    )
    path = check_path(decode_name(raw_name, flags, extras.get(UNICODE_PATH_EXTRA)), max_depth=limits.depth)
    _check_file_type(attributes, size, is_folder=path.endswith("/"))
    if disk or offset + LOCAL_HEADER_SIZE + len(raw_name) + compressed_size > directory.offset:
        raise ValueError("it lies outside of the archive")
    entry = ArchiveEntry(path, method, compressed_size, size, crc32, offset)
    _check_sizes(entry, limits)
    return Header(entry, flags, raw_name)


def _check_file_type(attributes: int, size: int, *, is_folder: bool) -> None:
    file_type = attributes >> 16 & _FILE_TYPE_MASK
    if file_type not in {0, _REGULAR, _FOLDER} or (file_type == _FOLDER and not is_folder):
        raise ValueError("it is a link or a special file")
    if is_folder and size:
        raise ValueError("it is a folder with content")


def _check_sizes(entry: ArchiveEntry, limits: Limits) -> None:
    size, compressed_size = entry.size, entry.compressed_size
    if entry.method not in {STORED, DEFLATED}:
        raise ValueError(f"its compression method is {entry.method}: use stored or deflated entries")
    if entry.method == STORED:
        if size != compressed_size:
            raise ValueError("it is stored, but its two sizes differ")
    elif size > limits.inflated_size:
        raise ValueError(f"it is deflated and has {size} bytes, more than {limits.inflated_size}: store it instead")
    elif size > max(limits.ratio_exempt_size, compressed_size * limits.ratio):
        raise ValueError(f"it is deflated to less than 1/{limits.ratio} of its size: store it instead")
