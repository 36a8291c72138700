"""The bytes of an archive that belong to no file: the headers, the manifest and the directory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat
from zlib import crc32

from projects_api.archive import zip_writer
from projects_api.archive.manifest import MANIFEST_PATH, File, encode_manifest
from projects_api.archive.parts import MANIFEST, Directory, Header, Range, Segment
from projects_api.archive.zip_writer import Entry
from projects_api.entities.content import Content, Pin


class ArchiveMetadata:
    """The headers, the manifest and the directory of an archive. Their sizes do not depend on any checksum.

    Args:
        content: The content of the export.
        files: The files of the archive.
        pins: The pin of each file's artifact.
        get_checksum: A function that returns the CRC-32 of a file, given the index of its entry.

    Attributes:
        entries: The entries, the manifest first. Their checksums are 0.
        directory: The directory and the records that end it. Empty before ``encode``.
    """

    def __init__(
        self, content: Content, files: Sequence[File], pins: Sequence[Pin], get_checksum: Callable[[int], int]
    ) -> None:
        self._content = content
        self._files = files
        self._pins = pins
        self._get_checksum = get_checksum
        self._manifest = bytearray()
        self.directory = b""
        manifest_size = sum(map(len, self._manifest_rows(repeat(0))))
        self.entries = [
            Entry(MANIFEST_PATH, manifest_size, 0, content.project.updated_at),
            *(Entry(file.path, pin.size, 0, file.resource.timestamp) for file, pin in zip(files, pins, strict=True)),
        ]

    def _manifest_rows(self, checksums: Iterable[int]) -> Iterator[bytes]:
        return encode_manifest(self._content, self._files, [pin.size for pin in self._pins], checksums)

    def encode(self) -> None:
        """Encode the manifest and the directory, with the checksums of all files."""
        checksums = [self._get_checksum(index) for index in range(MANIFEST + 1, len(self.entries))]
        self._manifest = bytearray()
        for row in self._manifest_rows(checksums):
            self._manifest += row
        self.directory = zip_writer.encode_directory(self._add_checksums([crc32(self._manifest), *checksums]))

    def read_entries(self, directory: bytes) -> list[Entry]:
        """Return the entries with the checksums that are in a directory of this archive."""
        return self._add_checksums(zip_writer.read_crc32s(directory, len(self.entries)))

    def _add_checksums(self, checksums: Iterable[int]) -> list[Entry]:
        return [replace(entry, crc32=checksum) for entry, checksum in zip(self.entries, checksums, strict=True)]

    def fill_in(self, segments: Iterable[Segment], data: bytearray) -> bytearray:
        """Return ``data`` after writing the headers, the manifest and the directory among some segments into it.

        Args:
            segments: The segments. The manifest, its header and the directory need a call of ``encode`` before.
            data: The bytes of all segments, in their order.
        """
        position = 0
        metadata: bytes | bytearray | None
        for segment in segments:
            match segment:
                case Header(index):
                    checksum = crc32(self._manifest) if index == MANIFEST else self._get_checksum(index)
                    metadata = zip_writer.local_header(replace(self.entries[index], crc32=checksum))
                case Directory(start):
                    metadata = self.directory[start : start + segment.size]
                case Range(index, start) if index == MANIFEST:
                    metadata = self._manifest[start : start + segment.size]
                case _:
                    metadata = None
            if metadata is not None:
                data[position : position + segment.size] = metadata
            position += segment.size
        return data
