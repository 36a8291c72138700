"""Archive in the storage, whose files are read without downloading the rest."""

import io
import json
import struct
import zlib
from difflib import get_close_matches
from typing import Any

from projects_client.errors import ConflictError, DamagedArchiveError, NotFoundError
from projects_client.progress import format_size
from projects_client.stored_object import ObjectChangedError, StoredObject
from projects_client.zip_directory import LOCAL_HEADER_SIZE, STORED, ZipEntry, read_directory

MANIFEST = "manifest.json"

#: Sizes of the first and of the largest read-ahead, in bytes. Sequential reads double it.
FIRST_WINDOW, MAX_WINDOW = 1 << 18, 1 << 23


class RemoteArchive:
    """Archive in the storage.

    Attributes:
        storage: The archive as an object in the storage.
        entries: Entries by their paths.

    Raises:
        DamagedArchiveError: The object is not an archive of a project.
    """

    def __init__(self, storage: StoredObject) -> None:
        self.storage = storage
        self.entries: dict[str, ZipEntry] = read_directory(storage.size, self.read)

    def read(self, start: int, stop: int) -> bytes:
        """Return a range of the archive.

        Raises:
            ConflictError: The archive was replaced since it was opened.
        """
        try:
            return self.storage.read(start, stop)
        except ObjectChangedError:
            raise ConflictError("The archive was replaced while it was read. Open it again.") from None

    def __repr__(self) -> str:
        return f"<RemoteArchive of {len(self.entries)} files, {format_size(self.storage.size)}: use entries or open()>"

    def read_manifest(self) -> dict[str, Any]:
        """Return the manifest."""
        try:
            manifest = json.loads(self.open(MANIFEST).read())
            manifest["files"]
        except (NotFoundError, ValueError, KeyError, TypeError):
            raise DamagedArchiveError(f"The file is not an archive of a project: it has no valid {MANIFEST}.") from None
        return dict(manifest)

    def open(self, path: str) -> io.BufferedReader:
        """Return a file of the archive as a seekable binary file.

        Raises:
            NotFoundError: The archive has no such file.
        """
        return io.BufferedReader(RemoteFile(self, self.get_entry(path)), buffer_size=1 << 16)

    def get_entry(self, path: str) -> ZipEntry:
        """Return the entry with a path.

        Raises:
            NotFoundError: The archive has no such file; the text names similar ones.
            DamagedArchiveError: The entry is compressed, which no archive of the service is.
        """
        entry = self.entries.get(path)
        if entry is None:
            similar = get_close_matches(path, list(self.entries)) or list(self.entries)
            raise NotFoundError(
                f"The archive has no file '{path}'. It has {', '.join(repr(other) for other in similar[:3])}"
                f"{' and others' if len(similar) > 3 else ''}."  # noqa: PLR2004 - the number of names shown
            )
        if entry.method != STORED or entry.compressed_size != entry.size:
            raise DamagedArchiveError(f"'{path}' is compressed. Only archives of the service can be read in parts.")
        return entry


class RemoteFile(io.RawIOBase):
    """File of an archive in the storage, read by ranges, with a read-ahead that grows while reads are sequential.

    Bytes that were read from the start on are checked by the CRC-32 of the file as soon as the last one was read.

    Attributes:
        name: Path in the archive.
        size: Size in bytes.
    """

    def __init__(self, archive: RemoteArchive, entry: ZipEntry) -> None:
        self._archive, self._entry = archive, entry
        self.name, self.size = entry.path, entry.size
        self._position, self._window_size = 0, FIRST_WINDOW
        self._window_start, self._window = 0, b""
        self._data_offset: int | None = None
        self._checked_size, self._checked_crc32 = 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self.size)
        if stop <= self._position:
            return 0
        offset = self._position - self._window_start
        if not 0 <= offset < len(self._window):
            self._load(self._position, stop)
            offset = self._position - self._window_start
        content = self._window[offset : offset + stop - self._position]
        view[: len(content)] = content
        self._check(content)
        self._position += len(content)
        return len(content)

    def readall(self) -> bytes:
        content = bytearray()
        while self._position < self.size:
            self._window_size = MAX_WINDOW
            chunk = self.read(min(MAX_WINDOW, self.size - self._position))
            content += chunk or b""
        return bytes(content)

    def _check(self, content: bytes) -> None:
        """Add the content at the position to the CRC-32, as far as it continues the bytes that were added before.

        Raises:
            DamagedArchiveError: The whole file was read, and differs from the one in the archive's directory.
        """
        offset = self._checked_size - self._position
        if not 0 <= offset < len(content):
            return
        self._checked_crc32 = zlib.crc32(memoryview(content)[offset:], self._checked_crc32)
        self._checked_size = self._position + len(content)
        if self._checked_size == self.size and self._checked_crc32 != self._entry.crc32:
            raise DamagedArchiveError(f"'{self.name}' is damaged: its CRC-32 differs from the one in the archive.")

    def _load(self, start: int, stop: int) -> None:
        is_sequential = start == self._window_start + len(self._window) and bool(self._window)
        self._window_size = min(self._window_size * 2, MAX_WINDOW) if is_sequential else max(FIRST_WINDOW, stop - start)
        stop = min(max(stop, start + self._window_size), self.size)
        if self._data_offset is None and start == 0:
            # the local header comes before the content, so one request gets both
            header = self._entry.header_offset
            content = self._archive.read(header, min(header + self._header_room() + stop, self._entry.end))
            self._data_offset = header + _header_size(content)
            self._window_start, self._window = 0, content[_header_size(content) :]
            return
        if self._data_offset is None:
            header = self._entry.header_offset
            self._data_offset = header + _header_size(self._archive.read(header, header + LOCAL_HEADER_SIZE))
        self._window_start = start
        self._window = self._archive.read(self._data_offset + start, self._data_offset + stop)

    def _header_room(self) -> int:
        return self._entry.end - self._entry.header_offset - self._entry.size


def _header_size(content: bytes) -> int:
    """Return the size of a local header with its name and extra field (APPNOTE 4.3.7)."""
    signature, name_length, extra_length = struct.unpack_from("<4s22xHH", content)
    if signature != b"PK\x03\x04":
        raise DamagedArchiveError("The archive is damaged: an entry has no local header.")
    return int(LOCAL_HEADER_SIZE + name_length + extra_length)
