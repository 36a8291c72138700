"""A reader of ZIP archives that trusts nothing: it checks every record and header before any data is used.

The module follows PKWARE's APPNOTE.TXT, version 6.3.10 (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
Comments and docstrings give its sections. The reader needs only ranges of the archive, and holds the central directory
and the headers of a few entries in memory.

It reads archives as tools write them: stored or deflated entries, with data descriptors, with ZIP64 records where they
are not needed, with comments, with bytes between entries, and in any order. It rejects archives that two readers could
understand differently: overlapping or duplicate entries, headers that contradict the directory, offsets that do not
account for bytes in front of the archive, bytes after its end, and more than one end record. It also rejects
encryption, links, special files, absolute paths and ``..``.
"""

import re
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched, pairwise
from typing import NamedTuple

from projects_api.archive.zip_writer import (
    CENTRAL_HEADER,
    END,
    LOCAL_HEADER,
    MAX_16,
    MAX_32,
    STORED,
    UTF8_NAMES,
    ZIP64_END,
    ZIP64_END_LOCATOR,
    ZIP64_EXTRA,
)
from projects_api.entities.errors import redact

#: Returns ``size`` bytes of the archive from the offset ``start``.
type Read = Callable[[int, int], bytes]

DEFLATED = 8  # 4.4.5
ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13  # 4.4.4: encryption, strong encryption, masked headers
PATCH = 1 << 5  # 4.4.4: compressed patched data
HAS_DESCRIPTOR = 1 << 3  # 4.4.4, 4.3.9
UNICODE_PATH_EXTRA = 0x7075  # 4.6.9

_END = struct.Struct("<IHHHHIIH")  # 4.3.16
_ZIP64_END_LOCATOR = struct.Struct("<IIQI")  # 4.3.15
_ZIP64_END = struct.Struct("<IQHHIIQQQQ")  # 4.3.14
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")  # 4.3.12
_LOCAL = struct.Struct("<IHHHHHIIIHH")  # 4.3.7

#: Size of the part of the ZIP64 end record that its own size field does not count (4.3.14.1).
_ZIP64_END_PREFIX = 12

#: Unix file types in the high 16 bits of the external attributes (4.4.15), and the ones that an archive may contain.
_FILE_TYPE_MASK = 0o170000
_REGULAR, _FOLDER = 0o100000, 0o040000

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")

GIB = 1 << 30
MIB = 1 << 20

#: Bytes that one read of the central directory returns.
DIRECTORY_CHUNK = 1 * MIB

#: Local headers that are this close to each other are read together: headers, and bytes from the first to the last.
HEADERS_PER_READ, BYTES_PER_READ = 64, 1 * MIB

#: Bytes that are read after a local header's name for its extra fields. A longer header needs a second read.
EXTRA_ESTIMATE = 64

#: Number of reads of local headers that may be in progress at the same time.
PARALLEL_READS = 32


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


class ArchiveError(Exception):
    """The archive is invalid.

    Attributes:
        errors: The first errors, as sentences.
        count: The number of all errors.
    """

    def __init__(self, errors: Sequence[str], count: int) -> None:
        super().__init__(errors[0] if errors else "")
        self.errors = list(errors)
        self.count = count


@dataclass
class ErrorList:
    """A list of errors that keeps the first ones and counts the others.

    Attributes:
        errors: The first ``MAX_ERRORS`` errors.
        count: The number of all errors.
    """

    #: Number of errors that are kept.
    MAX_ERRORS = 100

    errors: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, error: str) -> None:
        """Add an error."""
        self.count += 1
        if len(self.errors) < self.MAX_ERRORS:
            self.errors.append(error)

    def raise_if_any(self) -> None:
        """Raise an error if the list is not empty.

        Raises:
            ArchiveError: The list has errors.
        """
        if self.count:
            raise ArchiveError(self.errors, self.count)


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


class _Header(NamedTuple):
    """The attributes of an entry that its local header must repeat."""

    entry: ArchiveEntry
    flags: int
    raw_name: bytes


class _Directory(NamedTuple):
    """The position of the central directory.

    Attributes:
        offset: Its offset in the archive.
        size: Its size in bytes.
        entries: Its number of entries.
    """

    offset: int
    size: int
    entries: int


def read_entries(
    read: Read,
    size: int,
    *,
    limits: Limits | None = None,
    map_: Callable[[Callable[[Sequence[_Header]], None], Iterable[Sequence[_Header]]], Iterable[None]] = map,
) -> list[ArchiveEntry]:
    """Return the files of an archive in the order of their data, without folders.

    Args:
        read: Reads a range of the archive.
        size: The size of the archive in bytes.
        limits: The limits of the archive. By default, those of an import.
        map_: A function like the built-in ``map`` that may call in parallel, such as that of a thread pool.

    Raises:
        ArchiveError: The archive is invalid, or exceeds a limit.
    """
    limits = limits or Limits()
    if size > limits.archive_size:
        raise _error(f"The archive has {size} bytes, more than {limits.archive_size}.")
    directory = _read_end(read, size)
    if directory.entries > limits.entries:
        raise _error(f"The archive has {directory.entries} entries, more than {limits.entries}.")
    if directory.size > limits.directory_size:
        raise _error(f"The central directory has {directory.size} bytes, more than {limits.directory_size}.")
    errors = ErrorList()
    headers = _read_directory(read, directory, limits, errors)
    errors.raise_if_any()
    headers.sort(key=lambda header: header.entry.header_offset)
    _check_local_headers(read, headers, directory.offset, errors, map_)
    errors.raise_if_any()
    _check_overlaps(headers, directory.offset, errors)
    errors.raise_if_any()
    return [header.entry for header in headers if not header.entry.path.endswith("/")]


def _error(text: str) -> ArchiveError:
    return ArchiveError([text], 1)


# ------------------------------------------------------------------------------------------------------ end records


def _read_end(read: Read, size: int) -> _Directory:
    """Return the position of the central directory according to the records at the end (4.3.14 to 4.3.16)."""
    tail_size = min(size, _END.size + MAX_16 + _ZIP64_END_LOCATOR.size + _ZIP64_END.size)
    tail_start = size - tail_size
    tail = _read_exactly(read, tail_start, tail_size)
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
            raise _error("The ZIP64 end record contradicts the end record.")
        directory = zip64_directory
        disk, first_disk = (0 if number == MAX_16 else number for number in (disk, first_disk))
    else:
        directory = _Directory(offset, directory_size, entries)
        if entries_here != entries:
            disk = 1
    if disk or first_disk:
        raise _error("The archive is split into several files: join them first.")
    if directory.offset + directory.size != end_of_directory:
        raise _error(
            "The central directory does not end where the end records begin: the archive is incomplete, has bytes in "
            "front of it, or has bytes after the directory."
        )
    if directory.entries * _CENTRAL.size > directory.size:
        raise _error(f"The central directory is too small for {directory.entries} entries.")
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
        raise _error("This is not a ZIP archive, or it is incomplete: it does not end with an end record.")
    if len(candidates) > 1:
        raise _error("The archive has more than one end record.")
    return candidates[0]


def _read_zip64_end(read: Read, tail: bytes, tail_start: int, locator: int) -> tuple[_Directory, int]:
    """Return the position of the central directory and the offset of the ZIP64 end record (4.3.14, 4.3.15)."""
    _, disk, offset, disks = _ZIP64_END_LOCATOR.unpack_from(tail, locator)
    locator_offset = tail_start + locator
    if disk or disks > 1:
        raise _error("The archive is split into several files: join them first.")
    if offset + _ZIP64_END.size > locator_offset:
        raise _error("The ZIP64 locator points to no ZIP64 end record.")
    if offset >= tail_start:
        record = tail[offset - tail_start : offset - tail_start + _ZIP64_END.size]
    else:
        record = _read_exactly(read, offset, _ZIP64_END.size)
    signature, record_size, _, _, disk, first_disk, entries_here, entries, size, start = _ZIP64_END.unpack(record)
    if signature != ZIP64_END or offset + _ZIP64_END_PREFIX + record_size != locator_offset:
        raise _error("The ZIP64 locator points to no ZIP64 end record.")
    if disk or first_disk or entries_here != entries:
        raise _error("The archive is split into several files: join them first.")
    return _Directory(start, size, entries), offset


def _read_exactly(read: Read, start: int, size: int) -> bytes:
    data = read(start, size)
    if len(data) != size:
        raise _error("The archive ends early.")
    return data


# ------------------------------------------------------------------------------------------------ central directory


def _read_directory(read: Read, directory: _Directory, limits: Limits, errors: ErrorList) -> list[_Header]:
    """Return the entries of the central directory (4.3.12), and add an error for each invalid one."""
    headers: list[_Header] = []
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


def _split_directory(read: Read, directory: _Directory) -> Iterator[tuple[tuple[int, ...], bytes, bytes]]:
    """Yield the fixed fields, the name and the extra fields of each header in the central directory."""
    buffer, position, offset, end = b"", 0, directory.offset, directory.offset + directory.size
    for _ in range(directory.entries):
        needed = _CENTRAL.size
        for _ in range(2):  # first the fixed fields, which state the size of the others
            while len(buffer) - position < needed and offset < end:
                chunk = _read_exactly(read, offset, min(DIRECTORY_CHUNK, end - offset))
                buffer, position, offset = buffer[position:] + chunk, 0, offset + len(chunk)
            if len(buffer) - position < needed:
                raise _error("The central directory has fewer entries than the end record states.")
            fields = _CENTRAL.unpack_from(buffer, position)
            if fields[0] != CENTRAL_HEADER:
                raise _error("The central directory contains something that is not an entry.")
            name_size, extra_size, comment_size = fields[10:13]
            needed = _CENTRAL.size + name_size + extra_size + comment_size
        name_start = position + _CENTRAL.size
        extra_start = name_start + name_size
        yield fields, buffer[name_start:extra_start], buffer[extra_start : extra_start + extra_size]
        position += needed
    if offset < end or position < len(buffer):
        raise _error("The central directory has more bytes than its entries need.")


def _parse_central_header(
    fields: tuple[int, ...], raw_name: bytes, extra: bytes, directory: _Directory, limits: Limits
) -> _Header:
    """Return a checked entry. The message of a ValueError completes a sentence about the entry."""
    _, _, _, flags, method, _, _, crc32, compressed_size, size, _, _, _, disk, _, attributes, offset = fields
    if flags & ENCRYPTED:
        raise ValueError("it is encrypted, which an import does not support")
    if flags & PATCH:
        raise ValueError("it is a patch, which an import does not support")
    if len(raw_name) > limits.name_size:
        raise ValueError(f"its name has more than {limits.name_size} bytes")
    extras = _split_extra(extra)
    size, compressed_size, offset, disk = _apply_zip64(
        extras.get(ZIP64_EXTRA, b""),
        (size, MAX_32, 8),
        (compressed_size, MAX_32, 8),
        (offset, MAX_32, 8),
        (disk, MAX_16, 4),
    )
    path = _check_path(_decode_name(raw_name, flags, extras.get(UNICODE_PATH_EXTRA)), limits)
    _check_file_type(attributes, size, is_folder=path.endswith("/"))
    if disk or offset + _LOCAL.size + len(raw_name) + compressed_size > directory.offset:
        raise ValueError("it lies outside of the archive")
    entry = ArchiveEntry(path, method, compressed_size, size, crc32, offset)
    _check_sizes(entry, limits)
    return _Header(entry, flags, raw_name)


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


def _split_extra(extra: bytes) -> dict[int, bytes]:
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


def _apply_zip64(zip64: bytes, *values: tuple[int, int, int]) -> Iterator[int]:
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


def _apply_local_zip64(zip64: bytes, size: int, compressed_size: int) -> tuple[int, int]:
    """Return the sizes in a local header. Its ZIP64 extended information always has both sizes (4.5.3)."""
    if MAX_32 not in {size, compressed_size} or not zip64:
        return size, compressed_size
    if len(zip64) < 16:  # noqa: PLR2004 - two numbers of 8 bytes
        raise ValueError("its ZIP64 field is too short")
    zip64_sizes = struct.unpack_from("<QQ", zip64)
    size, compressed_size = (
        zip64_size if plain == MAX_32 else plain
        for plain, zip64_size in zip((size, compressed_size), zip64_sizes, strict=True)
    )
    return size, compressed_size


def _decode_name(raw_name: bytes, flags: int, unicode_path: bytes | None) -> str:
    """Return the name of an entry.

    A name is in UTF-8 if its flag says so (4.4.4, bit 11), or if it has a valid Unicode path (4.6.9). Without either,
    it is in UTF-8 if it can be, because Apple's Archive Utility sets no flag, otherwise in IBM code page 437 (D.1).
    """
    if flags & UTF8_NAMES:
        try:
            return raw_name.decode()
        except UnicodeDecodeError:
            raise ValueError("its name is not valid UTF-8") from None
    if unicode_path and len(unicode_path) > 5 and unicode_path[0] == 1:  # noqa: PLR2004 - version and CRC-32
        if int.from_bytes(unicode_path[1:5], "little") != zlib.crc32(raw_name):
            raise ValueError("its Unicode path belongs to another name")
        raw_name = unicode_path[5:]
    try:
        return raw_name.decode()
    except UnicodeDecodeError:
        return raw_name.decode("cp437")


def _check_path(name: str, limits: Limits) -> str:
    """Return the path of an entry in NFC, with ``/`` between folders and without a ``./`` in front."""
    path = unicodedata.normalize("NFC", name).replace("\\", "/")  # early versions of .NET write backslashes
    while path.startswith("./") and path != "./":
        path = path[2:]
    if path.startswith("/") or _DRIVE.match(path):
        raise ValueError("its path is absolute")
    parts = path.removesuffix("/").split("/")
    if ".." in parts:
        raise ValueError("its path leads out of the archive with '..'")
    if path != "./" and not {"", "."}.isdisjoint(parts):
        raise ValueError("its path has an empty part or a '.'")
    if _CONTROL_CHARACTER.search(path):
        raise ValueError("its path has a control character")
    if len(parts) - 1 > limits.depth:
        raise ValueError(f"it is in more than {limits.depth} folders")
    return path


# ---------------------------------------------------------------------------------------------------- local headers


def _check_local_headers(
    read: Read,
    headers: Sequence[_Header],
    directory_offset: int,
    errors: ErrorList,
    map_: Callable[[Callable[[Sequence[_Header]], None], Iterable[Sequence[_Header]]], Iterable[None]],
) -> None:
    """Compare each local header (4.3.7) with the directory, and set the offset of each entry's data.

    Args:
        read: Reads a range of the archive.
        headers: The entries, sorted by the offset of their local headers.
        directory_offset: The offset of the central directory.
        errors: The list to add errors to.
        map_: As for ``read_entries``.
    """
    found: dict[int, str] = {}

    def check(group: Sequence[_Header]) -> None:
        start = group[0].entry.header_offset
        last = group[-1]
        end = min(last.entry.header_offset + _estimate_size(last), directory_offset)
        data = _read_exactly(read, start, end - start)
        for header in group:
            try:
                _check_local_header(read, data, start, header)
            except ValueError as error:
                found[header.entry.header_offset] = f"Entry {redact(header.entry.path)}: {error}."

    for groups in batched(_group_headers(headers), PARALLEL_READS, strict=False):
        found.clear()
        for _ in map_(check, groups):
            pass
        for offset in sorted(found):
            errors.add(found[offset])


def _estimate_size(header: _Header) -> int:
    return _LOCAL.size + len(header.raw_name) + EXTRA_ESTIMATE


def _group_headers(headers: Sequence[_Header]) -> Iterator[Sequence[_Header]]:
    """Yield the headers in groups that one read can get."""
    first = 0
    for index, header in enumerate(headers):
        size = header.entry.header_offset + _estimate_size(header) - headers[first].entry.header_offset
        if index > first and (index - first == HEADERS_PER_READ or size > BYTES_PER_READ):
            yield headers[first:index]
            first = index
    if headers:
        yield headers[first:]


def _check_local_header(read: Read, data: bytes, start: int, header: _Header) -> None:
    """Compare a local header with the directory. The message of a ValueError completes a sentence about the entry.

    Args:
        read: Reads a range of the archive.
        data: Bytes that begin before or at the header, and contain all or most of it.
        start: The offset of ``data``.
        header: The entry.
    """
    entry, raw_name = header.entry, header.raw_name
    position = entry.header_offset - start
    if len(data) - position < _LOCAL.size or data[position : position + 4] != struct.pack("<I", LOCAL_HEADER):
        raise ValueError("there is no local header where the directory says")
    fields = _LOCAL.unpack_from(data, position)
    _, _, flags, method, _, _, crc32, compressed_size, size, name_size, extra_size = fields
    extra_start = position + _LOCAL.size + name_size
    if extra_start + extra_size > len(data):
        rest = _read_exactly(read, entry.header_offset, _LOCAL.size + name_size + extra_size)
        data, extra_start = rest, _LOCAL.size + name_size
    name = data[extra_start - name_size : extra_start]
    extras = _split_extra(data[extra_start : extra_start + extra_size])
    size, compressed_size = _apply_zip64(extras.get(ZIP64_EXTRA, b""), (size, MAX_32, 8), (compressed_size, MAX_32, 8))
    if name != raw_name:
        raise ValueError("its local header has another name than the directory")
    compared_flags = ENCRYPTED | PATCH | HAS_DESCRIPTOR | UTF8_NAMES
    if (flags ^ header.flags) & compared_flags or method != entry.method:
        raise ValueError("its local header has another method or other flags than the directory")
    stated, actual = (crc32, compressed_size, size), (entry.crc32, entry.compressed_size, entry.size)
    if stated != actual and not (
        flags & HAS_DESCRIPTOR and all(a in {0, b} for a, b in zip(stated, actual, strict=True))
    ):
        raise ValueError("its local header has another checksum or size than the directory")
    entry.data_offset = entry.header_offset + _LOCAL.size + name_size + extra_size


def _check_overlaps(headers: Sequence[_Header], directory_offset: int, errors: ErrorList) -> None:
    """Check that no byte belongs to two entries, or to an entry and the directory."""
    for header, following in pairwise(headers):
        if header.entry.data_offset + header.entry.compressed_size > following.entry.header_offset:
            errors.add(f"Entry {redact(header.entry.path)}: it overlaps with {redact(following.entry.path)}.")
    if headers:
        last = headers[-1].entry
        if last.data_offset + last.compressed_size > directory_offset:
            errors.add(f"Entry {redact(last.path)}: it overlaps with the central directory.")
