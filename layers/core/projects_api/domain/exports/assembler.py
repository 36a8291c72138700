"""Assembly of an archive according to its plan, from copies of S3 and bytes of the worker."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from zlib import crc32

from projects_api.archive import zip_writer
from projects_api.archive.archive_index import encode_index, index_entries
from projects_api.archive.metadata import ArchiveMetadata
from projects_api.archive.parts import (
    MANIFEST,
    BufferedPart,
    CopiedPart,
    Part,
    Range,
    Seam,
    Segment,
    Source,
    copied_entry,
    is_read,
    size_of,
)
from projects_api.archive.plan import MAX_ARCHIVE_SIZE, padding_of, plan
from projects_api.domain.exports.archive_sources import ArchiveSources
from projects_api.domain.exports.artifact_errors import ArtifactError
from projects_api.domain.exports.checksums import ArtifactChecksums, SavedChecksums
from projects_api.domain.exports.part_conditions import PartConditions
from projects_api.domain.exports.snapshot import Snapshot
from projects_api.domain.exports.task_group import TaskGroup
from projects_api.entities.export import Progress
from projects_api.storage.s3 import archive_store
from projects_api.storage.s3.archive_store import StoredObject
from projects_api.storage.s3.multipart_upload import ExportsObject, MultipartUpload

#: Number of buffered parts in progress. Each is in memory as a whole (``plan.BUFFERED_PART_SIZE``).
UPLOAD_THREADS = 3

#: Number of seams in progress. Of each, the bytes before its copy and those after it are in memory, less than
#: ``plan.MIN_PART_SIZE`` each.
SEAM_THREADS = 8

#: Number of parts that S3 copies in parallel.
COPY_THREADS = 16

#: Number of artifacts that are read in parallel.
READ_THREADS = 24


class ArchiveAssembler:
    """Assembler of the archive of a snapshot.

    Every part is independent of the others, with two exceptions. A header contains the checksum of its file, and for a
    file that S3 copies, the copies return the checksum. The manifest and the directory contain all checksums. A part
    with a header therefore follows the copies of its file, and the parts with the manifest and the directory come last.

    Args:
        snapshot: The snapshot.
        resumed: Whether an earlier run may have assembled some of the archive.
        should_continue: Called before each piece of work. Returns False to stop the work.
        saved_checksums: The value of ``checksums.save()`` at the end of an earlier run.

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
        saved_checksums: SavedChecksums | None = None,
    ) -> None:
        self.snapshot = snapshot
        self._resumed = resumed
        self._task_group = TaskGroup(
            should_continue,
            {"read": READ_THREADS, "upload": UPLOAD_THREADS, "seam": SEAM_THREADS, "copy": COPY_THREADS},
        )
        self._lock = threading.Lock()
        self._metadata = ArchiveMetadata(snapshot.content, snapshot.files, snapshot.pins, self._get_checksum)
        entries = self._metadata.entries
        #: The pins of the artifacts, by the index of their entry.
        self._pins = dict(enumerate(snapshot.pins, MANIFEST + 1))
        self._sources = ArchiveSources(self._pins, snapshot.previous)
        unchanged = (
            snapshot.previous.index.find_unchanged((index, entries[index], pin) for index, pin in self._pins.items())
            if snapshot.previous
            else {}
        )
        self.checksums = ArtifactChecksums(
            self._pins, check=self._task_group.check, saved=saved_checksums, copy=self._copy_for_checksum
        )
        self.plan = plan(entries, {index: entry.offset for index, entry in unchanged.items()})
        if self.plan.size > MAX_ARCHIVE_SIZE:
            raise ArtifactError(
                f"The files of the project have {self.plan.size:,} bytes, and an archive can have {MAX_ARCHIVE_SIZE:,}."
                " Delete resources, then start a new export."
            )
        self.progress = Progress(bytes_total=self.plan.size, files_total=len(snapshot.pins))
        self.bytes_written = 0
        self._work_key: Callable[[str], str] = str
        self._uploads: dict[int, MultipartUpload] = {}
        self._part_numbers: dict[int, int] = {}
        #: The bytes of files that were read ahead, by the index of their part.
        self._data: dict[int, bytearray] = {}
        self._helpers: dict[int, MultipartUpload] = {}
        self._conditions = PartConditions({})
        #: The indexes of the entries whose checksums the snapshot contains.
        self._known = {index for index, pin in self._pins.items() if pin.crc32 is not None}
        #: Whether to request the checksums of copies, because that of an artifact that S3 copies is not known. This
        #: depends on the snapshot only, so all runs of an export do the same.
        self._request_checksums = any(
            index is not None and index not in self._known for index in map(copied_entry, self.plan.parts)
        )

    def assemble(self, key: str, work_key: Callable[[str], str]) -> None:
        """Assemble the archive, by way of volumes if it has more parts than a multipart upload allows.

        Args:
            key: The key of the archive in the exports bucket.
            work_key: A function that returns the key of a work file, given its name.

        Raises:
            ArtifactError: An artifact was deleted, has changed, or cannot be read.
            PreviousArchiveLostError: The previous archive was deleted or has changed.
            CancelledError: ``should_continue`` returned False.
            StorageUnavailableError: S3 did not respond correctly.
        """
        self._work_key = work_key
        parts, volumes = self.plan.parts, self.plan.volumes
        with self._task_group:
            if len(parts) == 1 and isinstance(parts[0], BufferedPart):
                data = self._read_files(parts[0].segments)
                self._collect_checksums()
                self._task_group.call(archive_store.write, key, self._metadata.fill_in(parts[0].segments, data))
                self._add_progress(0, written=True)
            elif len(volumes) == 1:
                self._assemble_volumes([key])
            else:
                keys = [work_key(f"volume-{number:04}") for number in range(len(volumes))]
                self._assemble_volumes(keys)
                self._join_volumes(key, keys)

    def build_index(self, key: str, archive: StoredObject) -> tuple[bytes, int]:
        """Return the index of the finished archive as a file, and the CRC-32 of the archive.

        Raises:
            ObjectMissingError: The archive was deleted or has changed.
            StorageUnavailableError: S3 did not respond correctly.
        """
        directory = self._metadata.directory
        if not directory:  # an earlier run has assembled the archive
            start = self.plan.offsets[-1]
            directory = archive_store.read_range(key, archive.etag, start=start, size=archive.size - start)
        entries = self._metadata.read_entries(directory)
        indexed = index_entries(entries, self.plan.offsets, self.snapshot.pins)
        return (
            encode_index(archive.etag, archive.size, indexed),
            zip_writer.archive_crc32(entries, directory) if archive.crc32 is None else archive.crc32,
        )

    # ----------------------------------------------------------------------------------------------------- volumes

    def _assemble_volumes(self, keys: list[str]) -> None:
        """Assemble the objects of all volumes. None is completed before every part of each of them exists."""
        volumes = list(zip(self.plan.volumes, keys, strict=True))
        missing: list[int] = []
        uploads: list[MultipartUpload] = []
        for volume, key in volumes:
            if self._resumed and len(volumes) > 1 and archive_store.object_size(key) == self.plan.volume_size(volume):
                for number in volume:
                    self._add_progress(number)
                continue
            upload = self._task_group.call(self._open_upload, key)
            uploads.append(upload)
            for part_number, number in enumerate(volume, 1):
                self._uploads[number], self._part_numbers[number] = upload, part_number
                part, existing = self.plan.parts[number], upload.existing_parts.get(part_number)
                if existing is None or existing.size != part.size:
                    missing.append(number)
                    continue
                self._add_progress(number)
                if isinstance(part, CopiedPart):
                    self._record_checksum(part.source, existing.crc32)
        self._assemble_parts(missing)
        for upload in uploads:
            self._task_group.call(upload.complete)

    def _open_upload(self, key: str) -> MultipartUpload:
        """Resume the upload of an earlier run, or start one."""
        return MultipartUpload(key, resumed=self._resumed, checksums=self._request_checksums)

    def _start_upload(self, key: str) -> MultipartUpload:
        return MultipartUpload(key, checksums=self._request_checksums)

    def _join_volumes(self, key: str, volume_keys: list[str]) -> None:
        upload = self._task_group.call(self._open_upload, key)
        sources = [
            ExportsObject(volume_key, self.plan.volume_size(volume))
            for volume_key, volume in zip(volume_keys, self.plan.volumes, strict=True)
        ]
        for number, join in enumerate(self.plan.joins, 1):
            existing = upload.existing_parts.get(number)
            if existing is None or existing.size != join.size:
                self._task_group.submit(
                    "copy", upload.copy_from_exports, number, sources[join.index], join.start, join.size
                )
        self._task_group.join()
        self._task_group.call(upload.complete)

    # ------------------------------------------------------------------------------------------------------- parts

    def _assemble_parts(self, numbers: list[int]) -> None:
        """Assemble the parts at some indexes of the plan."""
        parts = {number: self.plan.parts[number] for number in numbers}
        conditions = self._conditions = PartConditions(parts, self._known)
        for number, part in parts.items():
            match part:
                case CopiedPart():
                    self._task_group.submit("copy", self._copy_part, number, part)
                case Seam():
                    self._task_group.submit("copy", self._prepare_seam, number, part)
                    if number in conditions.read_ahead:
                        self._task_group.submit("seam", self._read_ahead, number, part)
        for number in conditions.unconditional:
            self._submit_finish(number)
        for number in conditions.read_ahead:
            if isinstance(parts[number], BufferedPart):  # after all others, because its bytes stay in memory
                self._task_group.submit("upload", self._read_ahead, number, parts[number])
        if conditions.last_parts:
            self._task_group.wait_until(lambda: self.checksums.are_complete)
            self._collect_checksums()
            for number in conditions.last_parts:
                self._meet_condition(number)
        self._task_group.join()

    def _meet_condition(self, number: int) -> None:
        """Count a condition of a part as met, and submit the part's last step if it was the last one."""
        if self._conditions.meet(number):
            self._submit_finish(number)

    def _submit_finish(self, number: int) -> None:
        is_seam = isinstance(self.plan.parts[number], Seam)
        self._task_group.submit("seam" if is_seam else "upload", self._finish_part, number)

    def _on_copy(self, source: Source, checksum: int | None) -> None:
        """Record the checksum of a copy, and finish the parts that waited for it."""
        self._record_checksum(source, checksum)
        for number in self._conditions.count_copy(source):
            self._meet_condition(number)

    def _record_checksum(self, source: Source, checksum: int | None) -> None:
        """Record the checksum that S3 has returned of a copy, if it was to return any."""
        if self._request_checksums and isinstance(source, Range):
            self.checksums.record(source.index, source.start, source.size, checksum)

    def _copy_part(self, number: int, part: CopiedPart) -> None:
        checksum = self._sources.copy(self._uploads[number], self._part_numbers[number], part.source)
        self._add_progress(number, written=True)
        self._on_copy(part.source, checksum)

    def _prepare_seam(self, number: int, part: Seam) -> None:
        """Copy the source of a seam into the helper object."""
        helper = self._start_upload(self._helper_key(number))
        checksum = self._sources.copy(helper, 2 if part.before else 1, part.source)
        self._helpers[number] = helper
        self._on_copy(part.source, checksum)
        self._meet_condition(number)

    def _finish_part(self, number: int) -> None:
        part, data = self.plan.parts[number], self._data.get(number)
        data = self._metadata.fill_in(part.segments, self._read_files(part.segments) if data is None else data)
        if isinstance(part, Seam):
            self._finish_seam(number, part, data)
        else:
            self._uploads[number].put_part(self._part_numbers[number], data)
        self._add_progress(number, written=True)
        self._data.pop(number, None)

    def _finish_seam(self, number: int, part: Seam, data: bytearray) -> None:
        """Complete the helper objects of a seam (see ``parts.Seam``), and copy the last one into the archive."""
        call = self._task_group.call
        helper, before_size, padding_size = self._helpers[number], size_of(part.before), 0
        if part.before:
            padding = padding_of(part)
            padding_size = padding.size
            padded = ExportsObject(f"{self._helper_key(number)}-before", padding_size + before_size)
            first_helper = call(self._start_upload, padded.key)
            call(self._sources.copy, first_helper, 1, padding)
            call(first_helper.put_part, 2, data[:before_size])
            call(first_helper.complete)
            call(helper.copy_from_exports, 1, padded, 0, padded.size)
        if part.after:
            call(helper.put_part, 3, data[before_size:])
        call(helper.complete)
        joined = ExportsObject(self._helper_key(number), padding_size + part.size)
        call(self._uploads[number].copy_from_exports, self._part_numbers[number], joined, padding_size, part.size)

    def _helper_key(self, number: int) -> str:
        return self._work_key(f"seam-{number:06}")

    # ------------------------------------------------------------------------------------------- bytes of the worker

    def _read_ahead(self, number: int, part: Part) -> None:
        self._data[number] = self._read_files(part.segments)
        self._meet_condition(number)

    def _read_files(self, segments: Sequence[Segment]) -> bytearray:
        """Return a buffer for segments that contains the bytes of files. All other bytes are still 0."""
        data = bytearray(size_of(segments))
        position, reads = 0, []
        for segment in segments:
            if is_read(segment):
                reads.append(self._task_group.submit("read", self._read_segment, segment, data, position))
            position += segment.size
        self._task_group.wait_for(reads)
        return data

    def _read_segment(self, segment: Source, buffer: bytearray, position: int) -> None:
        data = self._sources.read(segment)
        buffer[position : position + segment.size] = data
        if isinstance(segment, Range):
            self.checksums.record(segment.index, segment.start, segment.size, crc32(data))

    # --------------------------------------------------------------------------------------------------- checksums

    def _copy_for_checksum(self, index: int, start: int, size: int) -> int | None:
        """Have S3 copy a range of an artifact for its CRC-32 alone."""
        upload = MultipartUpload(self._work_key(f"checksum-{index:06}-{start}"))
        checksum = self._sources.copy(upload, 1, Range(index, start, size))
        upload.abort()
        return checksum

    def _get_checksum(self, index: int) -> int:
        """Return the checksum of a file. If it is not known yet, get it from S3."""
        with self._sources.translate_errors(Range(index, 0, 0)):
            return self.checksums.get(index)

    def _collect_checksums(self) -> None:
        """Get the checksums of all files, and encode the manifest and the directory with them."""
        if missing := self.checksums.list_missing():
            for index in missing:
                self._task_group.submit("read", self._get_checksum, index)
            self._task_group.join()
        self._metadata.encode()

    # ---------------------------------------------------------------------------------------------------- progress

    def _add_progress(self, number: int, *, written: bool = False) -> None:
        """Add the part at the index ``number`` to the progress."""
        size, files = self.plan.parts[number].size, self.plan.count_completed_files(number)
        with self._lock:
            self.progress = replace(
                self.progress,
                bytes_done=self.progress.bytes_done + size,
                files_done=self.progress.files_done + files,
            )
            self.bytes_written += size if written else 0
