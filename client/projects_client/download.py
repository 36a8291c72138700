"""Resumable download of an archive to a file.

A download survives a lost connection, an expired URL, and the end of the program. Until the archive is complete and
checked, ``FILE.part`` holds the bytes downloaded so far, and ``FILE.part.json`` identifies the archive that these bytes
belong to. The next run resumes from ``FILE.part`` if the archive is still the same.

An update copies the unchanged entries from the file of an older archive, and downloads only the others. The result is
the same, byte for byte.
"""

import json
import os
import shutil
import stat
import zlib
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from projects_client import notebook
from projects_client.archive_check import CHUNK_SIZE, CheckedArchive, check_archive
from projects_client.errors import ConflictError, DamagedArchiveError, ProjectsClientError, UnavailableError
from projects_client.progress import OnNote, OnProgress, Step, format_size, ignore
from projects_client.records import Export
from projects_client.remote_archive import RemoteArchive
from projects_client.stored_object import MAX_FAILURES, ObjectChangedError, StoredObject
from projects_client.zip_directory import ZipEntry, read_directory

#: Smallest run of unchanged bytes that is worth another request, in bytes.
MIN_REUSE = 1 << 19


@dataclass(frozen=True)
class PartOrigin:
    """Export, and object in S3, that a part belongs to: the content of ``FILE.part.json``.

    Attributes:
        export_id: Id of the export.
        etag: ETag of the archive.
        size: Size of the archive in bytes.
    """

    export_id: str
    etag: str
    size: int


@dataclass(frozen=True)
class ReusedRange:
    """Bytes that an older archive has in common with the new one.

    Attributes:
        start: Offset in the new archive.
        stop: Offset after the last byte in the new archive.
        source: Offset in the older archive.
    """

    start: int
    stop: int
    source: int


@dataclass(frozen=True)
class Downloaded:
    """Complete and checked archive.

    Attributes:
        path: The file.
        resumed_at: Number of bytes that an earlier run downloaded.
        reused_bytes: Number of bytes that were copied from the older archive.
        downloaded_bytes: Number of bytes that this run downloaded.
        files: Number of files in the archive.
        bytes: Size of these files.
        export: The export.
    """

    path: Path
    resumed_at: int
    reused_bytes: int
    downloaded_bytes: int
    files: int
    bytes: int
    export: Export = field(repr=False)

    def _repr_html_(self) -> str:
        sizes = {"resumed at": self.resumed_at, "reused": self.reused_bytes, "downloaded": self.downloaded_bytes}
        shown = {name: format_size(size) for name, size in sizes.items() if size}
        return notebook.render_fields({"path": self.path, "files": self.files, "size": format_size(self.bytes)} | shown)


class Download:
    """Download of one archive to a file.

    Args:
        export: The export, which is ready.
        target: File to write.
        sign_url: Returns a new signed URL of the archive. Its errors end the download.
        on_progress: Called with each step.
        on_note: Called with sentences about what is unusual.

    Attributes:
        part: File that holds the downloaded bytes until ``finish`` renames it.
        part_is_foreign: Whether the part existed, and was not written by a download.
        resumed_at: Number of bytes that an earlier run downloaded; 0 if this run starts from the beginning.
        starts_over: Whether the part existed, and belongs to another archive.
        reused_bytes: Number of bytes that were copied from an older archive.
    """

    def __init__(
        self,
        export: Export,
        target: Path,
        *,
        sign_url: Callable[[], str],
        on_progress: OnProgress = ignore,
        on_note: OnNote = ignore,
    ) -> None:
        self.part = target.with_name(f"{target.name}.part")
        self._origin_file = target.with_name(f"{target.name}.part.json")
        self._target, self._export, self._size = target, export, export.size_bytes or 0
        self._on_progress, self._on_note = on_progress, on_note
        self.part_is_foreign = self.part.exists() and not self._origin_file.exists()
        self._origin = self._read_origin()
        self._storage = StoredObject(self._size, sign_url, etag=self._origin.etag if self._origin else None)
        self.resumed_at = self._count_bytes()
        self.starts_over = self._origin is None and self.part.exists()
        self._reuse: list[ReusedRange] = []
        self.reused_bytes = self.downloaded_bytes = 0

    def run(self, older: Path | None = None) -> CheckedArchive:
        """Download the missing bytes, and check the whole archive.

        Args:
            older: An older archive of the project, from which unchanged entries are copied.

        Returns:
            The number and the size of the files.

        Raises:
            DamagedArchiveError: The archive does not match its manifest. The part is removed.
            UnavailableError: The download failed ``MAX_FAILURES`` times in a row.
            ProjectsClientError: The part can't be written.
        """
        if older is not None:
            self._reuse = self._plan_reuse(older)
        self._announce()
        self._transfer(older)
        try:
            return self._check()
        except DamagedArchiveError as damage:
            self.discard()
            if older is None or not (self.reused_bytes or self.resumed_at):
                raise DamagedArchiveError(f"{damage} The file was removed. Call it again to retry.") from None
        self._on_note(f"{older} does not fit the new archive, which is now downloaded as a whole.")
        self.resumed_at = self.reused_bytes = 0
        self._reuse = []
        return self.run()

    def finish(self) -> None:
        """Flush the part to the disk and rename it to the target. A file that it replaces passes on its mode."""
        with self.part.open("rb+") as part:
            os.fsync(part.fileno())
        with suppress(OSError):  # there is no such file, or the file system has no modes
            shutil.copymode(self._target, self.part)
        self.part.replace(self._target)
        self._origin_file.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the part and its origin file."""
        self._origin = self._storage.etag = None
        self.part.unlink(missing_ok=True)
        self._origin_file.unlink(missing_ok=True)

    def _transfer(self, older: Path | None) -> None:
        changes = 0
        while (position := self._count_bytes()) < self._size:
            self._report("downloading", position)
            index = bisect_right(self._reuse, position, key=lambda piece: piece.start)
            current = self._reuse[index - 1] if index and self._reuse[index - 1].stop > position else None
            upcoming = self._reuse[index].start if index < len(self._reuse) else self._size
            try:
                if current is not None and older is not None:
                    self._copy(older, current, position)
                else:
                    self._storage.fetch(position, upcoming, self._append_downloaded)
            except ObjectChangedError:
                changes += 1
                self.discard()
                self._reuse = []
                if changes == MAX_FAILURES:
                    raise UnavailableError(
                        "The archive changed again and again during the download. Call it again to retry."
                    ) from None
        self._report("downloading", self._size)

    def _copy(self, older: Path, piece: ReusedRange, position: int) -> None:
        with suppress(OSError), older.open("rb") as source:
            source.seek(piece.source + position - piece.start)
            while position < piece.stop and (chunk := source.read(min(CHUNK_SIZE, piece.stop - position))):
                self._append(chunk)
                position += len(chunk)
                self.reused_bytes += len(chunk)
        if position < piece.stop:  # the older archive was cut or removed in the meantime, or can't be read
            self._reuse = []

    def _append_downloaded(self, chunk: bytes) -> None:
        self._append(chunk)
        self.downloaded_bytes += len(chunk)

    def _append(self, chunk: bytes) -> None:
        try:
            if self._origin is None:
                self.part.unlink(missing_ok=True)  # first, or the new origin would describe the old bytes
                self._origin = PartOrigin(self._export.id, self._storage.etag or "", self._size)
                self._origin_file.write_text(json.dumps(asdict(self._origin)) + "\n")
                self.part.touch(self._get_mode())
            with self.part.open("ab") as part:
                part.write(chunk)
                size = part.tell()
        except OSError as error:
            raise ProjectsClientError(f"{self.part}: {error.strerror}. Call it again to resume.") from None
        self._report("downloading", size)

    def _get_mode(self) -> int:
        """Return the mode of a new part: not even for a moment may others read what they can't read in the target."""
        return stat.S_IMODE(self._target.stat().st_mode) | stat.S_IWUSR if self._target.exists() else 0o666

    def _plan_reuse(self, older: Path) -> list[ReusedRange]:
        """Return the ranges of the new archive that the older one has, or none if either can't be read."""
        try:
            new = RemoteArchive(self._storage)
        except (DamagedArchiveError, ConflictError):
            return []  # the download and its check say what is wrong
        if self._origin and self._storage.etag != self._origin.etag:
            return []
        try:
            with older.open("rb") as source:
                old = read_directory(older.stat().st_size, lambda start, stop: _read_file(source, start, stop))
        except (DamagedArchiveError, OSError):
            self._on_note(f"{older} is not an archive that can be updated. The new archive is downloaded as a whole.")
            return []
        return find_reuse(old, new.entries)

    def _announce(self) -> None:
        size = format_size(self._size)
        if self.starts_over:
            self._on_note(
                f"{self.part} belongs to another export or another version of the project. "
                "The download starts from the beginning."
            )
        if self.resumed_at:
            self._on_note(f"Resuming {self.part}: {format_size(self.resumed_at)} of {size} are downloaded.")
        if self._reuse:
            reused = format_size(sum(piece.stop - piece.start for piece in self._reuse))
            self._on_note(f"Updating: {reused} of {size} are unchanged.")

    def _check(self) -> CheckedArchive:
        size, done, whole = self._size, 0, 0

        def advance(step: int) -> None:
            nonlocal done
            done += step
            self._report("checking", done)

        checked = check_archive(self.part, advance)
        expected = _parse_crc32(self._export.crc32)
        if (self.reused_bytes or self.resumed_at) and expected is not None:  # an earlier run may have reused bytes
            with self.part.open("rb") as part:
                while chunk := part.read(CHUNK_SIZE):
                    whole = zlib.crc32(chunk, whole)
            if whole != expected:
                raise DamagedArchiveError(
                    f"The archive has the CRC-32 {whole:08x}, but the export states {expected:08x}."
                )
        self._report("checking", size)
        return checked

    def _report(self, stage: str, done: int) -> None:
        self._on_progress(Step(stage, done, self._size))

    def _count_bytes(self) -> int:
        """Return the size of the part, or 0 if it belongs to another archive."""
        return self.part.stat().st_size if self._origin and self.part.exists() else 0

    def _read_origin(self) -> PartOrigin | None:
        """Return the origin of the part, or None if the part does not belong to this archive."""
        try:
            origin = PartOrigin(**json.loads(self._origin_file.read_text()))
            if not (origin.etag.isascii() and origin.etag.isprintable() and origin.etag):
                return None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):  # the file is missing or was edited
            return None
        part_fits = self.part.exists() and self.part.stat().st_size <= self._size
        return origin if part_fits and (origin.export_id, origin.size) == (self._export.id, self._size) else None


def find_reuse(old: dict[str, ZipEntry], new: dict[str, ZipEntry]) -> list[ReusedRange]:
    """Return the ranges of a new archive that an older one has, in their order.

    An entry is unchanged if the directories say the same about it, CRC-32 and time included, and the entry has the same
    size with its header. Runs of ranges that are too short to be worth another request are left out.
    """
    ranges: list[ReusedRange] = []
    for path, entry in new.items():
        other = old.get(path)
        if other is None or other.identity != entry.identity:
            continue
        last = ranges[-1] if ranges else None
        if last and last.stop == entry.header_offset and last.source + last.stop - last.start == other.header_offset:
            ranges[-1] = ReusedRange(last.start, entry.end, last.source)
        else:
            ranges.append(ReusedRange(entry.header_offset, entry.end, other.header_offset))
    return _select_long_runs(ranges)


def _select_long_runs(ranges: list[ReusedRange]) -> list[ReusedRange]:
    """Return the ranges of all runs without a gap that are long, or are the beginning of the archive."""
    runs: list[list[ReusedRange]] = []
    for piece in ranges:
        if runs and runs[-1][-1].stop == piece.start:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return [piece for run in runs if run[-1].stop - run[0].start >= MIN_REUSE or not run[0].start for piece in run]


def _read_file(source: IO[bytes], start: int, stop: int) -> bytes:
    source.seek(start)
    return bytes(source.read(stop - start))


def _parse_crc32(value: str | int | None) -> int | None:
    if isinstance(value, int):
        return value
    try:
        return None if value is None else int(value, 16)
    except ValueError:
        return None
