"""The index of an archive: the place and the origin of each entry, for exports that copy unchanged entries from it.

The file format is gzip-compressed JSON lines. The first line describes the archive, and each other line an entry.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from projects_api.archive import zip_writer
from projects_api.archive.zip_writer import Entry
from projects_api.entities.content import Pin

#: Name of the format of the index and of the archive. An index with another name is ignored.
FORMAT = f"projects-export-index/1, {zip_writer.HEADER_LAYOUT}"


class IndexedEntry(NamedTuple):
    """An entry of an archive, without the manifest.

    Attributes:
        path: The path in the archive.
        offset: The offset of the local header in the archive.
        size: The size of the file in bytes.
        crc32: The CRC-32 of the file.
        key: The key of the artifact that the file is a copy of.
        etag: The ETag of the artifact.
        modified: The time of the last change, in seconds since 1970.
    """

    path: str
    offset: int
    size: int
    crc32: int
    key: str
    etag: str
    modified: int


@dataclass(frozen=True, slots=True)
class ArchiveIndex:
    """The index of an archive.

    Attributes:
        etag: The ETag of the archive.
        size: The size of the archive in bytes.
        entries: The entries by their path, without the manifest.
    """

    etag: str
    size: int
    entries: Mapping[str, IndexedEntry]

    def list_checksums(self) -> dict[tuple[str, str], int]:
        """Return the CRC-32s of the artifacts, by their key and ETag."""
        return {(entry.key, entry.etag): entry.crc32 for entry in self.entries.values()}

    def find_unchanged(self, entries: Iterable[tuple[int, Entry, Pin]]) -> dict[int, IndexedEntry]:
        """Return the entries of the archive whose bytes, with the header, are those of an entry of a new archive.

        Args:
            entries: The entries of the new archive: their index, the entry, of which the checksum is ignored, and the
                pin of the artifact.

        Returns:
            The entries of this archive, by the index in the new one.
        """
        unchanged = {}
        for index, entry, pin in entries:
            known = self.entries.get(entry.path)
            content = (pin.size, pin.key, pin.etag, zip_writer.unix_time(entry.modified))
            if known and (known.size, known.key, known.etag, known.modified) == content:
                unchanged[index] = known
        return unchanged


def index_entries(entries: Sequence[Entry], offsets: Sequence[int], pins: Sequence[Pin]) -> Iterable[IndexedEntry]:
    """Return the entries of an archive as its index lists them.

    Args:
        entries: The entries, the manifest first.
        offsets: The offset of each entry's local header.
        pins: The pins of the artifacts, without one for the manifest.
    """
    for entry, offset, pin in zip(entries[1:], offsets[1:], pins, strict=False):
        modified = zip_writer.unix_time(entry.modified)
        yield IndexedEntry(entry.path, offset, entry.size, entry.crc32, pin.key, pin.etag, modified)


def encode_index(etag: str, size: int, entries: Iterable[IndexedEntry]) -> bytes:
    """Return the index of an archive as a file."""
    buffer = io.BytesIO()
    with gzip.open(buffer, "wt", compresslevel=1, encoding="utf-8") as lines:
        lines.write(json.dumps({"format": FORMAT, "etag": etag, "size": size}) + "\n")
        lines.writelines(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries)
    return buffer.getvalue()


def decode_index(data: bytes) -> ArchiveIndex | None:
    """Return the index of a file, or None if the file has another format or is damaged."""
    try:
        with gzip.open(io.BytesIO(data), "rt", encoding="utf-8") as lines:
            head = json.loads(next(lines))
            if head["format"] != FORMAT:
                return None
            entries = (IndexedEntry(*json.loads(line)) for line in lines)
            return ArchiveIndex(head["etag"], head["size"], {entry.path: entry for entry in entries})
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, StopIteration):
        return None
