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

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import batched, pairwise

from projects_api.archive.archive_errors import ErrorList
from projects_api.archive.central_directory import ENCRYPTED, MIB, PATCH, ArchiveEntry, Header, Limits, read_directory
from projects_api.archive.end_records import Read, build_error, find_directory, read_exactly
from projects_api.archive.extra_fields import apply_local_zip64, split_extra_fields
from projects_api.archive.zip_writer import LOCAL_HEADER, UTF8_NAMES, ZIP64_EXTRA
from projects_api.entities.errors import redact

HAS_DESCRIPTOR = 1 << 3  # 4.4.4, 4.3.9

_LOCAL = struct.Struct("<IHHHHHIIIHH")  # 4.3.7

#: Local headers that are this close to each other are read together: headers, and bytes from the first to the last.
HEADERS_PER_READ, BYTES_PER_READ = 64, 1 * MIB

#: Bytes that are read after a local header's name for its extra fields. A longer header needs a second read.
EXTRA_ESTIMATE = 64

#: Number of reads of local headers that may be in progress at the same time.
PARALLEL_READS = 32


def read_entries(
    read: Read,
    size: int,
    *,
    limits: Limits | None = None,
    map_: Callable[[Callable[[Sequence[Header]], None], Iterable[Sequence[Header]]], Iterable[None]] = map,
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
        raise build_error(f"The archive has {size} bytes, more than {limits.archive_size}.")
    directory = find_directory(read, size)
    if directory.entries > limits.entries:
        raise build_error(f"The archive has {directory.entries} entries, more than {limits.entries}.")
    if directory.size > limits.directory_size:
        raise build_error(f"The central directory has {directory.size} bytes, more than {limits.directory_size}.")
    errors = ErrorList()
    headers = read_directory(read, directory, limits, errors)
    errors.raise_if_any()
    headers.sort(key=lambda header: header.entry.header_offset)
    _check_local_headers(read, headers, directory.offset, errors, map_)
    errors.raise_if_any()
    _check_overlaps(headers, directory.offset, errors)
    errors.raise_if_any()
    return [header.entry for header in headers if not header.entry.path.endswith("/")]


def _check_local_headers(
    read: Read,
    headers: Sequence[Header],
    directory_offset: int,
    errors: ErrorList,
    map_: Callable[[Callable[[Sequence[Header]], None], Iterable[Sequence[Header]]], Iterable[None]],
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

    def check(group: Sequence[Header]) -> None:
        start = group[0].entry.header_offset
        last = group[-1]
        end = min(last.entry.header_offset + _estimate_size(last), directory_offset)
        data = read_exactly(read, start, end - start)
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


def _estimate_size(header: Header) -> int:
    return _LOCAL.size + len(header.raw_name) + EXTRA_ESTIMATE


def _group_headers(headers: Sequence[Header]) -> Iterator[Sequence[Header]]:
    """Yield the headers in groups that one read can get."""
    first = 0
    for index, header in enumerate(headers):
        size = header.entry.header_offset + _estimate_size(header) - headers[first].entry.header_offset
        if index > first and (index - first == HEADERS_PER_READ or size > BYTES_PER_READ):
            yield headers[first:index]
            first = index
    if headers:
        yield headers[first:]


def _check_local_header(read: Read, data: bytes, start: int, header: Header) -> None:
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
        rest = read_exactly(read, entry.header_offset, _LOCAL.size + name_size + extra_size)
        data, extra_start = rest, _LOCAL.size + name_size
    name = data[extra_start - name_size : extra_start]
    extras = split_extra_fields(data[extra_start : extra_start + extra_size])
    size, compressed_size = apply_local_zip64(extras.get(ZIP64_EXTRA, b""), size, compressed_size)
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


def _check_overlaps(headers: Sequence[Header], directory_offset: int, errors: ErrorList) -> None:
    """Check that no byte belongs to two entries, or to an entry and the directory."""
    for header, following in pairwise(headers):
        if header.entry.data_offset + header.entry.compressed_size > following.entry.header_offset:
            errors.add(f"Entry {redact(header.entry.path)}: it overlaps with {redact(following.entry.path)}.")
    if headers:
        last = headers[-1].entry
        if last.data_offset + last.compressed_size > directory_offset:
            errors.add(f"Entry {redact(last.path)}: it overlaps with the central directory.")
