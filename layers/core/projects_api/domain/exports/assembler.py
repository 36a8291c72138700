"""Making an archive by its plan: parts that S3 copies by itself, and parts whose bytes are gathered here."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import repeat
from types import MappingProxyType
from zlib import crc32

from projects_api.archive import zip_writer
from projects_api.archive.manifest import MANIFEST_PATH, manifest
from projects_api.archive.plan import (
    MANIFEST,
    BufferedPart,
    Copy,
    Directory,
    Header,
    Part,
    Range,
    count_completed_files,
    directory,
    plan,
)
from projects_api.archive.zip_writer import Entry
from projects_api.domain.exports.snapshot import ArtifactError, Snapshot
from projects_api.domain.exports.task_group import TaskGroup
from projects_api.entities.export import Progress
from projects_api.entities.snapshot import Pin
from projects_api.storage.aws_errors import ObjectMissingError
from projects_api.storage.s3 import archive_store, artifact_store
from projects_api.storage.s3.multipart_upload import MultipartUpload

#: How many parts are under way at once: gathered ones, each of which is held in memory (``plan.BUFFERED_PART_SIZE``), and
#: copies, which S3 makes by itself. And how many artifacts are read at once.
UPLOAD_THREADS = 3
COPY_THREADS = 16
READ_THREADS = 24

#: How much of an artifact is read at a time for its checksum, in bytes: seconds, after which the work may end.
CHECKSUM_READ_SIZE = 64 << 20


class ArchiveAssembler:
    """Makes the archive of a snapshot.

    Args:
        snapshot: The snapshot.
        resumed: Whether an earlier run may have made some of it.
        should_continue: Asked before each piece of work; says no where the work is to end.
        read: What an earlier run had in ``read``.

    Attributes:
        plan: The archive's.
        progress: How far the archive is.
        bytes_written: How much of it this run has made.
        read: How far artifacts were read whose checksum S3 does not have: by entry, the bytes and their CRC-32.
        bytes_read: How much of that this run has read.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        resumed: bool,
        should_continue: Callable[[], bool],
        read: Mapping[int, tuple[int, int]] = MappingProxyType({}),
    ) -> None:
        self.snapshot = snapshot
        self.read = dict(read)
        self.bytes_read = 0
        self._resumed = resumed
        self._task_group = TaskGroup(
            should_continue, {"read": READ_THREADS, "gather": UPLOAD_THREADS, "copy": COPY_THREADS}
        )
        self._lock = threading.Lock()
        self._manifest = bytearray()
        self._directory = b""
        self._entries = [
            Entry(MANIFEST_PATH, sum(map(len, self._rows(repeat(0)))), 0, snapshot.content.project.updated_at),
            *(
                Entry(file.path, pin.size, 0, file.resource.timestamp)
                for file, pin in zip(snapshot.files, snapshot.pins, strict=True)
            ),
        ]
        #: The checksums that are known, by entry; that of an empty file is 0.
        self._crc32s = {index: 0 for index, entry in enumerate(self._entries) if not entry.size}
        self.plan = plan(self._entries)
        self.progress = Progress(bytes_total=self.plan.size, files_total=len(snapshot.pins))
        self.bytes_written = 0

    def assemble(self, key: str, volume_key: Callable[[int], str]) -> None:
        """Makes the archive as the object ``key``; one of more parts than an upload takes by way of volumes.

        Raises:
            ArtifactError: An artifact has changed or is gone.
            CancelledError: ``should_continue`` said no.
            StorageUnavailableError: S3 did not answer as it should.
        """
        volumes = self.plan.volumes
        with self._task_group:
            if len(volumes) == 1:
                self._assemble_object(key, volumes[0])
            else:
                self._assemble_volumes(volumes, volume_key)
                self._join_volumes(key, volume_key)

    def _assemble_volumes(self, volumes: tuple[tuple[Part, ...], ...], volume_key: Callable[[int], str]) -> None:
        # the first begins with the manifest, which tells the checksums of all files, and so comes last
        for number in [*range(1, len(volumes)), 0]:
            parts = volumes[number]
            if self._resumed and archive_store.object_size(volume_key(number)) == sum(part.size for part in parts):
                self._add_progress(*parts)
            else:
                self._assemble_object(volume_key(number), parts)

    def _join_volumes(self, key: str, volume_key: Callable[[int], str]) -> None:
        upload = MultipartUpload(key, resumed=self._resumed)
        self._task_group.wait_for(
            self._task_group.submit(
                "copy", upload.copy_from_exports, number, volume_key(join.index), join.start, join.size
            )
            for number, join in enumerate(self.plan.joins, 1)
            if upload.present.get(number) != join.size
        )
        upload.complete()

    def _assemble_object(self, key: str, parts: tuple[Part, ...]) -> None:
        """Makes one object of ``parts``: what S3 does not have yet, several at once, what tells checksums last."""
        if len(parts) == 1 and isinstance(parts[0], BufferedPart):
            data = self._read_part(parts[0])
            self._collect_checksums()
            archive_store.write(key, self._fill_in_headers(parts[0], data))
            self._add_progress(*parts, made=True)
            return
        upload = MultipartUpload(key, resumed=self._resumed)
        early: list[tuple[int, Part]] = []
        late: list[tuple[int, BufferedPart]] = []
        for number, part in enumerate(parts, 1):
            if upload.present.get(number) == part.size:
                self._add_progress(part)
            elif isinstance(part, BufferedPart) and part.late:
                late.append((number, part))
            else:
                early.append((number, part))
        self._task_group.wait_for(
            self._task_group.submit("copy", self._copy, upload, number, part)
            if isinstance(part, Copy)
            else self._task_group.submit("gather", self._put, upload, number, part)
            for number, part in early
        )
        if late:
            # the checksums of files in these very parts are had from their bytes
            read = {number: self._read_part(part) for number, part in late if part.has_files}
            self._collect_checksums()
            self._task_group.wait_for(
                self._task_group.submit("gather", self._put, upload, number, part, read.pop(number, None))
                for number, part in late
            )
        upload.complete()

    # ---------------------------------------------------------------------------------------------------- one part

    def _copy(self, upload: MultipartUpload, number: int, part: Copy) -> None:
        with self._name_missing_artifact(part.range.index):
            upload.copy(number, self._pin(part.range.index), start=part.range.start, size=part.range.size)
        self._add_progress(part, made=True)

    def _put(self, upload: MultipartUpload, number: int, part: BufferedPart, data: bytearray | None = None) -> None:
        upload.put(number, self._fill_in_headers(part, self._read_part(part) if data is None else data))
        self._add_progress(part, made=True)

    def _read_part(self, part: BufferedPart) -> bytearray:
        """The bytes of a part, with those of its files in their places."""
        data = bytearray(part.size)
        place, reads = 0, []
        for segment in part.segments:
            if isinstance(segment, Range) and segment.index != MANIFEST:
                reads.append(self._task_group.submit("read", self._read, segment, data, place))
            place += segment.size
        self._task_group.wait_for(reads)
        return data

    def _read(self, wanted: Range, into: bytearray, place: int) -> None:
        with self._name_missing_artifact(wanted.index):
            data = artifact_store.read(self._pin(wanted.index), start=wanted.start, size=wanted.size)
        if len(data) != wanted.size:
            raise self._changed_artifact_error(wanted.index)
        into[place : place + wanted.size] = data
        if wanted.size == self._entries[wanted.index].size:
            self._crc32s[wanted.index] = crc32(data)

    def _fill_in_headers(self, part: BufferedPart, data: bytearray) -> bytearray:
        """``data`` with what stands between the files: headers, the manifest, the directory."""
        place = 0
        between: bytes | bytearray | None
        for segment in part.segments:
            match segment:
                case Header(index):
                    between = zip_writer.local_header(replace(self._entries[index], crc32=self._crc32(index)))
                case Directory(start):
                    between = self._directory[start : start + segment.size]
                case Range(index, start) if index == MANIFEST:
                    between = self._manifest[start : start + segment.size]
                case _:
                    between = None
            if between is not None:
                data[place : place + segment.size] = between
            place += segment.size
        return data

    # --------------------------------------------------------------------------------------------------- checksums

    def _crc32(self, index: int) -> int:
        """The checksum of an entry: from its bytes where they passed by, else S3's own, else it is read for it."""
        if index not in self._crc32s:
            with self._name_missing_artifact(index):
                kept = None if index in self.read else artifact_store.crc32(self._pin(index))
                self._crc32s[index] = self._read_crc32(index) if kept is None else kept
        return self._crc32s[index]

    def _read_crc32(self, index: int) -> int:
        """The checksum of an artifact, read from its start, or from where an earlier run had to end."""
        pin = self._pin(index)
        done, checksum = self.read.get(index, (0, 0))
        while done < pin.size:
            self._task_group.check()
            size = min(CHECKSUM_READ_SIZE, pin.size - done)
            checksum = artifact_store.read_crc32(pin, checksum, start=done, size=size)
            done += size
            self.read[index] = done, checksum
            with self._lock:
                self.bytes_read += size
        return checksum

    def _collect_checksums(self) -> None:
        """Learns every checksum, and with them the manifest and the directory."""
        files = range(MANIFEST + 1, len(self._entries))
        self._task_group.wait_for(
            self._task_group.submit("read", self._crc32, index) for index in files if index not in self._crc32s
        )
        self._manifest = bytearray()
        for row in self._rows(self._crc32s[index] for index in files):
            self._manifest += row
        self._crc32s[MANIFEST] = crc32(self._manifest)
        self._directory = directory(
            [replace(entry, crc32=self._crc32s[index]) for index, entry in enumerate(self._entries)]
        )

    def _rows(self, crc32s: Iterable[int]) -> Iterator[bytes]:
        """The manifest's, for files of these checksums."""
        return manifest(self.snapshot.content, self.snapshot.files, [pin.size for pin in self.snapshot.pins], crc32s)

    # ---------------------------------------------------------------------------------------------------- progress

    def _add_progress(self, *parts: Part, made: bool = False) -> None:
        size = sum(part.size for part in parts)
        files = sum(count_completed_files(part, self._entries) for part in parts)
        with self._lock:
            self.progress = replace(
                self.progress,
                bytes_done=self.progress.bytes_done + size,
                files_done=self.progress.files_done + files,
            )
            self.bytes_written += size if made else 0

    # --------------------------------------------------------------------------------------------------- artifacts

    def _pin(self, index: int) -> Pin:
        return self.snapshot.pins[index - 1]

    @contextmanager
    def _name_missing_artifact(self, index: int) -> Iterator[None]:
        """Names the artifact where it is not there any more in the content that was pin_artifacts."""
        try:
            yield
        except ObjectMissingError:
            raise self._changed_artifact_error(index) from None

    def _changed_artifact_error(self, index: int) -> ArtifactError:
        key = self._pin(index).key
        return ArtifactError(f"The artifact {key} has changed or vanished while it was exported. Export again.")
