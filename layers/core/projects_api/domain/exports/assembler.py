"""Assembly of an archive according to its plan, from copied and buffered parts."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import repeat
from types import MappingProxyType
from zlib import crc32

from projects_api.archive import zip_writer
from projects_api.archive.manifest import MANIFEST_PATH, encode_manifest
from projects_api.archive.plan import (
    MANIFEST,
    BufferedPart,
    CopiedPart,
    Directory,
    Header,
    Part,
    Range,
    build_directory,
    count_completed_files,
    plan,
)
from projects_api.archive.zip_writer import Entry
from projects_api.domain.exports.checksums import ArtifactChecksums, PartialChecksum
from projects_api.domain.exports.snapshot import ArtifactError, Snapshot
from projects_api.domain.exports.task_group import TaskGroup
from projects_api.entities.export import Progress
from projects_api.storage.aws_errors import ObjectMissingError
from projects_api.storage.s3 import archive_store, artifact_store
from projects_api.storage.s3.multipart_upload import MultipartUpload

#: Number of buffered parts in progress. Each is in memory as a whole (``plan.BUFFERED_PART_SIZE``).
UPLOAD_THREADS = 3

#: Number of parts that S3 copies in parallel.
COPY_THREADS = 16

#: Number of artifacts that are read in parallel.
READ_THREADS = 24


class ArchiveAssembler:
    """Assembler of the archive of a snapshot.

    Args:
        snapshot: The snapshot.
        resumed: Whether an earlier run may have assembled some of the archive.
        should_continue: Called before each piece of work. Returns False to stop the work.
        partial_checksums: The value of ``checksums.partial`` at the end of an earlier run.

    Attributes:
        snapshot: The snapshot.
        plan: The plan of the archive.
        progress: The progress of the archive, including the work of earlier runs.
        bytes_written: The number of bytes of the archive that this run has assembled.
        checksums: The checksums of the artifacts.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        resumed: bool,
        should_continue: Callable[[], bool],
        partial_checksums: Mapping[int, PartialChecksum] = MappingProxyType({}),
    ) -> None:
        self.snapshot = snapshot
        self._resumed = resumed
        self._task_group = TaskGroup(
            should_continue, {"read": READ_THREADS, "upload": UPLOAD_THREADS, "copy": COPY_THREADS}
        )
        self._lock = threading.Lock()
        self._manifest = bytearray()
        self._manifest_crc32 = 0
        self._directory = b""
        self._entries = [
            Entry(MANIFEST_PATH, sum(map(len, self._manifest_rows(repeat(0)))), 0, snapshot.content.project.updated_at),
            *(
                Entry(file.path, pin.size, 0, file.resource.timestamp)
                for file, pin in zip(snapshot.files, snapshot.pins, strict=True)
            ),
        ]
        #: The pins of the artifacts, by the index of their entry.
        self._pins = dict(enumerate(snapshot.pins, MANIFEST + 1))
        self.checksums = ArtifactChecksums(self._pins, check=self._task_group.check, partial=partial_checksums)
        self.plan = plan(self._entries)
        self.progress = Progress(bytes_total=self.plan.size, files_total=len(snapshot.pins))
        self.bytes_written = 0

    def assemble(self, key: str, volume_key: Callable[[int], str]) -> None:
        """Assemble the archive, by way of volumes if it has more parts than a multipart upload allows.

        Args:
            key: The key of the archive in the exports bucket.
            volume_key: A function that returns the key of a volume, given its index.

        Raises:
            ArtifactError: An artifact was deleted or has changed.
            CancelledError: ``should_continue`` returned False.
            StorageUnavailableError: S3 did not respond correctly.
        """
        volumes = self.plan.volumes
        with self._task_group:
            if len(volumes) == 1:
                self._assemble_object(key, volumes[0])
            else:
                self._assemble_volumes(volumes, volume_key)
                self._join_volumes(key, volume_key)

    def _assemble_volumes(self, volumes: tuple[tuple[Part, ...], ...], volume_key: Callable[[int], str]) -> None:
        # the first volume begins with the manifest, which needs the checksums of all files, and therefore comes last
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
            if upload.existing_parts.get(number) != join.size
        )
        upload.complete()

    def _assemble_object(self, key: str, parts: tuple[Part, ...]) -> None:
        """Assemble one object from the parts that S3 does not have yet. Parts that need all checksums come last."""
        if len(parts) == 1 and isinstance(parts[0], BufferedPart):
            data = self._read_files(parts[0])
            self._collect_checksums()
            archive_store.write(key, self._fill_in_metadata(parts[0], data))
            self._add_progress(*parts, written=True)
            return
        upload = MultipartUpload(key, resumed=self._resumed)
        first_parts: list[tuple[int, Part]] = []
        last_parts: list[tuple[int, BufferedPart]] = []
        for number, part in enumerate(parts, 1):
            if upload.existing_parts.get(number) == part.size:
                self._add_progress(part)
            elif isinstance(part, BufferedPart) and part.needs_all_checksums:
                last_parts.append((number, part))
            else:
                first_parts.append((number, part))
        self._task_group.wait_for(
            self._task_group.submit("copy", self._copy_part, upload, number, part)
            if isinstance(part, CopiedPart)
            else self._task_group.submit("upload", self._upload_part, upload, number, part)
            for number, part in first_parts
        )
        if last_parts:
            # reading the files of these parts first gives their checksums
            data_by_number = {number: self._read_files(part) for number, part in last_parts if part.has_files}
            self._collect_checksums()
            self._task_group.wait_for(
                self._task_group.submit(
                    "upload", self._upload_part, upload, number, part, data_by_number.pop(number, None)
                )
                for number, part in last_parts
            )
        upload.complete()

    # ---------------------------------------------------------------------------------------------------- one part

    def _copy_part(self, upload: MultipartUpload, number: int, part: CopiedPart) -> None:
        index = part.range.index
        with self._translate_missing_artifact(index):
            upload.copy_artifact(number, self._pins[index], start=part.range.start, size=part.range.size)
        self._add_progress(part, written=True)

    def _upload_part(
        self, upload: MultipartUpload, number: int, part: BufferedPart, data: bytearray | None = None
    ) -> None:
        upload.put_part(number, self._fill_in_metadata(part, self._read_files(part) if data is None else data))
        self._add_progress(part, written=True)

    def _read_files(self, part: BufferedPart) -> bytearray:
        """Return a buffer for a part that contains the bytes of its files. All other bytes are still 0."""
        data = bytearray(part.size)
        position, reads = 0, []
        for segment in part.segments:
            if isinstance(segment, Range) and segment.index != MANIFEST:
                reads.append(self._task_group.submit("read", self._read_range, segment, data, position))
            position += segment.size
        self._task_group.wait_for(reads)
        return data

    def _read_range(self, range_: Range, buffer: bytearray, position: int) -> None:
        with self._translate_missing_artifact(range_.index):
            data = artifact_store.read(self._pins[range_.index], start=range_.start, size=range_.size)
        if len(data) != range_.size:
            raise self._changed_artifact_error(range_.index)
        buffer[position : position + range_.size] = data
        if range_.size == self._entries[range_.index].size:
            self.checksums.record(range_.index, crc32(data))

    def _fill_in_metadata(self, part: BufferedPart, data: bytearray) -> bytearray:
        """Return ``data`` after writing the headers, the manifest and the directory of a part into it."""
        position = 0
        metadata: bytes | bytearray | None
        for segment in part.segments:
            match segment:
                case Header(index):
                    metadata = zip_writer.local_header(replace(self._entries[index], crc32=self._crc32(index)))
                case Directory(start):
                    metadata = self._directory[start : start + segment.size]
                case Range(index, start) if index == MANIFEST:
                    metadata = self._manifest[start : start + segment.size]
                case _:
                    metadata = None
            if metadata is not None:
                data[position : position + segment.size] = metadata
            position += segment.size
        return data

    # --------------------------------------------------------------------------------------------------- checksums

    def _crc32(self, index: int) -> int:
        if index == MANIFEST:
            return self._manifest_crc32
        with self._translate_missing_artifact(index):
            return self.checksums.get(index)

    def _collect_checksums(self) -> None:
        """Get the checksums of all artifacts, and encode the manifest and the directory with them."""
        self._task_group.wait_for(
            self._task_group.submit("read", self._crc32, index) for index in self.checksums.list_missing()
        )
        self._manifest = bytearray()
        for row in self._manifest_rows(self.checksums.get(index) for index in self._pins):
            self._manifest += row
        self._manifest_crc32 = crc32(self._manifest)
        self._directory = build_directory(
            [replace(entry, crc32=self._crc32(index)) for index, entry in enumerate(self._entries)]
        )

    def _manifest_rows(self, crc32s: Iterable[int]) -> Iterator[bytes]:
        sizes = [pin.size for pin in self.snapshot.pins]
        return encode_manifest(self.snapshot.content, self.snapshot.files, sizes, crc32s)

    # ---------------------------------------------------------------------------------------------------- progress

    def _add_progress(self, *parts: Part, written: bool = False) -> None:
        size = sum(part.size for part in parts)
        files = sum(count_completed_files(part, self._entries) for part in parts)
        with self._lock:
            self.progress = replace(
                self.progress,
                bytes_done=self.progress.bytes_done + size,
                files_done=self.progress.files_done + files,
            )
            self.bytes_written += size if written else 0

    # ------------------------------------------------------------------------------------------------------ errors

    @contextmanager
    def _translate_missing_artifact(self, index: int) -> Iterator[None]:
        """Raise an ArtifactError that names the artifact if the pinned content no longer exists."""
        try:
            yield
        except ObjectMissingError:
            raise self._changed_artifact_error(index) from None

    def _changed_artifact_error(self, index: int) -> ArtifactError:
        key = self._pins[index].key
        return ArtifactError(f"The artifact {key} was changed or deleted during the export. Start a new export.")
