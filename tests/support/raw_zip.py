"""A writer of ZIP archives that can break every rule of the format, and imitate the bytes of any tool."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

STORED, DEFLATED = 0, 8

#: The method of an entry whose content is compressed already. Its headers state another method.
PRECOMPRESSED = 99

UTF8_NAME, DESCRIPTOR = 1 << 11, 1 << 3
MAX_16, MAX_32 = 0xFFFF, 0xFFFFFFFF

#: The fields of the records in their order, without the sizes of texts (APPNOTE 4.3.7, 4.3.12, 4.3.16).
_LOCAL = ("signature", "version", "flags", "method", "time", "date", "crc32", "compressed_size", "size")
_CENTRAL = ("signature", "made_by", *_LOCAL[1:])
_END = ("signature", "disk", "first_disk", "entries_here", "entries", "directory_size", "offset")


@dataclass
class RawEntry:
    """An entry of an archive.

    Attributes:
        name: The name as it is written.
        content: The content before compression. Compressed data if ``method`` is neither stored nor deflated.
        method: The compression method.
        flags: The general purpose flags.
        made_by: The system and version that made the entry.
        attributes: The external attributes. Their high 16 bits are the Unix mode.
        local_extra: The extra fields of the local header.
        central_extra: The extra fields in the central directory.
        comment: The comment.
        local: Fields of the local header that differ from the correct ones.
        central: Fields in the central directory that differ from the correct ones, and ``offset``, ``disk``.
        gap: Bytes in front of the local header.
        offset: The offset of a local header that another entry contains. Then only the directory has this entry.
    """

    name: bytes
    content: bytes = b""
    method: int = STORED
    flags: int = 0
    made_by: int = 20
    attributes: int = 0
    local_extra: bytes = b""
    central_extra: bytes = b""
    comment: bytes = b""
    local: dict[str, int] = field(default_factory=dict)
    central: dict[str, int] = field(default_factory=dict)
    gap: bytes = b""
    offset: int | None = None

    @property
    def data(self) -> bytes:
        """The content as it is in the archive."""
        if self.method != DEFLATED:
            return self.content
        compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        return compressor.compress(self.content) + compressor.flush()

    @property
    def _fields(self) -> dict[str, int]:
        return {
            "made_by": self.made_by,
            "version": 20,
            "flags": self.flags,
            "method": self.method,
            "time": 0x4800,
            "date": 0x5C4A,
            "crc32": zlib.crc32(self.content),
            "compressed_size": len(self.data),
            "size": len(self.content),
        }

    def build_local(self) -> bytes:
        """Return the local header, the data and, if the flags say so, the data descriptor (4.3.7 to 4.3.9)."""
        fields = self._fields
        descriptor = b""
        if self.flags & DESCRIPTOR:
            sizes = fields["crc32"], fields["compressed_size"], fields["size"]
            descriptor = b"PK\7\10" + struct.pack("<III", *sizes)
            fields |= {"crc32": 0, "compressed_size": 0, "size": 0}
        fields |= {"signature": 0x04034B50} | self.local
        header = struct.pack("<IHHHHHIII", *(fields[name] for name in _LOCAL))
        sizes_of_texts = struct.pack("<HH", len(self.name), len(self.local_extra))
        return header + sizes_of_texts + self.name + self.local_extra + self.data + descriptor

    def build_central(self, offset: int) -> bytes:
        """Return the header in the central directory (4.3.12)."""
        fields = self._fields | {"signature": 0x02014B50, "disk": 0, "attributes": self.attributes, "offset": offset}
        fields |= self.central
        header = struct.pack("<IHHHHHHIII", *(fields[name] for name in _CENTRAL))
        texts = self.name + self.central_extra + self.comment
        rest = (len(self.name), len(self.central_extra), len(self.comment), fields["disk"], 0, fields["attributes"])
        return header + struct.pack("<HHHHHII", *rest, fields["offset"]) + texts


def write_raw_zip(
    entries: Sequence[RawEntry],
    *,
    comment: bytes = b"",
    zip64: bool = False,
    end: dict[str, int] | None = None,
    zip64_end: dict[str, int] | None = None,
    locator: dict[str, int] | None = None,
    directory: bytes | None = None,
) -> bytes:
    """Return an archive.

    Args:
        entries: The entries in the order of the directory.
        comment: The comment of the archive.
        zip64: Whether to write the end records of ZIP64 (4.3.14, 4.3.15).
        end: Fields of the end record that differ from the correct ones.
        zip64_end: Fields of the ZIP64 end record that differ.
        locator: Fields of the ZIP64 locator that differ: ``disk``, ``offset``, ``disks``.
        directory: Bytes to write instead of the central directory.
    """
    body, headers = b"", b""
    for entry in entries:
        if entry.offset is None:
            body += entry.gap
        headers += entry.build_central(len(body) if entry.offset is None else entry.offset)
        if entry.offset is None:
            body += entry.build_local()
    headers = headers if directory is None else directory
    count, start = len(entries), len(body)
    correct: dict[str, Any] = {"signature": 0x06054B50, "disk": 0, "first_disk": 0, "entries_here": count}
    correct |= {"entries": count, "directory_size": len(headers), "offset": start}
    records = b""
    if zip64 or zip64_end or locator:
        fields = correct | (zip64_end or {})
        numbers = [fields[name] for name in _END[1:]]
        records += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, *numbers)
        place = {"disk": 0, "offset": start + len(headers), "disks": 1} | (locator or {})
        records += struct.pack("<IIQI", 0x07064B50, place["disk"], place["offset"], place["disks"])
    fields = correct | (end or {})
    records += struct.pack("<IHHHHII", *(fields[name] for name in _END)) + struct.pack("<H", len(comment)) + comment
    return body + headers + records
