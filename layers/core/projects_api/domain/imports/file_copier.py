"""Copies of the files of an archive to the artifacts of the new project, each verified by its size and CRC-32."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from projects_api.archive.archive_errors import ErrorList
from projects_api.archive.crc32 import combine_crc32
from projects_api.archive.entry_content import unpack
from projects_api.archive.inflate import WRONG_CHECKSUM, InflateError
from projects_api.archive.plan import COPY_PART_SIZE
from projects_api.archive.zip_writer import STORED
from projects_api.domain.exports.task_group import TaskGroup
from projects_api.domain.imports.import_plan import PlannedFile
from projects_api.entities.errors import redact
from projects_api.entities.export import Progress
from projects_api.entities.upload import MAX_PART_SIZE, MAX_PARTS, MIN_PART_SIZE
from projects_api.storage.s3 import artifact_writer, import_source
from projects_api.storage.s3.artifact_writer import ArtifactCopy
from projects_api.storage.s3.import_source import ImportSource

#: Size from which S3 copies a stored file, in bytes. A copy takes three requests. A smaller file takes one, and a part
#: of one that reads many files.
MIN_COPY_SIZE = 1 << 20

#: Bytes of the archive that one request reads for small files, and the largest small file after decompression.
GATHER_SIZE = 8 << 20

#: Size of the parts of a large deflated file, in bytes. The worker holds one part of each in memory.
STREAM_PART_SIZE = 16 << 20

#: Bytes between two small files that are read with them rather than with another request.
MAX_GAP = 64 << 10

#: Numbers of large files in progress, of parts that S3 copies, of groups of small files that are read, of small files
#: that are written, and of large deflated files that are streamed, in parallel.
FILE_THREADS, COPY_THREADS, READ_THREADS, WRITE_THREADS, STREAM_THREADS = 16, 16, 3, 24, 2


class FileCopier:
    """A copier of the files of one archive.

    Args:
        source: The archive.
        files: The files.
        resumed: Whether an earlier run may have copied some of the files.
        should_continue: Called before each piece of work. Returns False to stop the work.

    Attributes:
        progress: The progress, including the work of earlier runs.
        pieces_written: The number of files and of copied parts that this run has written.
        bytes_read: The number of bytes of the archive that this run has read to copy files.
    """

    def __init__(
        self,
        source: ImportSource,
        files: Sequence[PlannedFile],
        *,
        resumed: bool,
        should_continue: Callable[[], bool],
    ) -> None:
        self._source = source
        self._files = files
        self._resumed = resumed
        self._lock = threading.Lock()
        self._errors = ErrorList()
        self._started: set[str] = set()
        pools = {
            "file": FILE_THREADS,
            "copy": COPY_THREADS,
            "read": READ_THREADS,
            "write": WRITE_THREADS,
            "stream": STREAM_THREADS,
        }
        self._task_group = TaskGroup(should_continue, pools)
        self.progress = Progress(bytes_total=sum(file.entry.size for file in files), files_total=len(files))
        self.pieces_written = 0
        self.bytes_read = 0

    def copy(self, existing: dict[str, int]) -> None:
        """Copy all files that do not exist yet.

        Args:
            existing: The sizes of the artifacts that exist already, by key. Each was verified when it was written.

        Raises:
            ArchiveError: The content of a file is not what the archive states.
            ObjectMissingError: The archive was deleted or has changed.
            CancelledError: ``should_continue`` returned False.
            StorageUnavailableError: S3 did not respond correctly.
        """
        missing = []
        for file in self._files:
            if existing.get(file.key) == file.entry.size:
                self._add_progress(file)
            else:
                missing.append(file)
        with self._task_group:
            copied = [file for file in missing if self._can_copy(file)]
            small = [file for file in missing if not self._can_copy(file) and _is_small(file)]
            large = [file for file in missing if not self._can_copy(file) and not _is_small(file)]
            self._task_group.wait_for(
                [
                    *(self._task_group.submit("file", self._collect_error, self._copy_file, file) for file in copied),
                    *(
                        self._task_group.submit("stream", self._collect_error, self._stream_file, file)
                        for file in large
                    ),
                    *(self._task_group.submit("read", self._copy_group, group) for group in _group(small)),
                ]
            )
        self._errors.raise_if_any()

    def _may_have_upload(self, file: PlannedFile) -> bool:
        """Return whether an earlier run, or an earlier attempt of this run, may have begun an upload of the file."""
        with self._lock:
            started = file.key in self._started
            self._started.add(file.key)
        return started or self._resumed

    def _collect_error(self, task: Callable[..., None], file: PlannedFile, *args: object) -> None:
        """Run a task, and add its error to the errors of the archive, so that all of them can be reported."""
        try:
            task(file, *args)
        except InflateError as error:
            with self._lock:
                self._errors.add(f"Entry {redact(file.entry.path)}: {error}.")

    def _can_copy(self, file: PlannedFile) -> bool:
        """Return whether S3 can copy the file. A ranged copy needs a source of more than 5 MiB."""
        entry = file.entry
        return entry.method == STORED and entry.size >= MIN_COPY_SIZE and self._source.size > MIN_PART_SIZE

    # ------------------------------------------------------------------------------------------------ copied inside S3

    def _copy_file(self, file: PlannedFile) -> None:
        entry = file.entry
        upload = ArtifactCopy(file.key, content_type=file.content_type, resumed=self._may_have_upload(file))
        checksums: dict[int, int] = {}

        def copy_part(number: int, start: int, size: int) -> None:
            part = upload.parts.get(number)
            if part is None or part.size != size:
                part = upload.copy_part(number, self._source, start=entry.data_offset + start, size=size)
                self._count_piece()
            if part.crc32 is None:
                checksums[number] = artifact_writer.read_crc32(
                    self._source, start=entry.data_offset + start, size=size, check=self._task_group.check
                )
                self._count_read(size)
            else:
                checksums[number] = part.crc32

        ranges = list(_split(entry.size))
        self._task_group.wait_for(
            [
                self._task_group.submit("copy", copy_part, number, start, size)
                for number, (start, size) in enumerate(ranges, 1)
            ]
        )
        checksum = 0
        for number, (_, size) in enumerate(ranges, 1):
            checksum = combine_crc32(checksum, checksums[number], size)
        if checksum != entry.crc32:
            upload.abort()
            raise InflateError(WRONG_CHECKSUM)
        upload.complete()
        self._add_progress(file)
        self._count_piece()

    # -------------------------------------------------------------------------------------------------- small files

    def _copy_group(self, group: Sequence[PlannedFile]) -> None:
        """Read a group of small files with one request, and write each."""
        start = group[0].entry.data_offset
        end = max(file.entry.data_offset + file.entry.compressed_size for file in group)
        data = import_source.read(self._source, start, end - start)
        self._count_read(len(data))
        writes = []
        for file in group:
            offset = file.entry.data_offset - start
            content = data[offset : offset + file.entry.compressed_size]
            writes.append(self._task_group.submit("write", self._collect_error, self._write_file, file, content))
        self._task_group.wait_for(writes)

    def _write_file(self, file: PlannedFile, content: bytes) -> None:
        content = b"".join(unpack(file.entry, [content]))
        artifact_writer.put(file.key, content, content_type=file.content_type, crc32=file.entry.crc32)
        self._add_progress(file)
        self._count_piece()

    # ------------------------------------------------------------------------------------------------ deflated files

    def _stream_file(self, file: PlannedFile) -> None:
        """Unpack a large file through the worker, one part at a time. The parts of an earlier run are not reused."""
        if self._may_have_upload(file):
            ArtifactCopy(file.key, content_type=file.content_type, resumed=True).abort()
        upload = ArtifactCopy(file.key, content_type=file.content_type, resumed=False)
        try:
            number, part = 1, bytearray()
            for piece in unpack(file.entry, self._read_chunks(file)):
                part += piece
                if len(part) >= STREAM_PART_SIZE:
                    upload.put_part(number, part)
                    number, part = number + 1, bytearray()
            if part:
                upload.put_part(number, part)
        except InflateError:
            upload.abort()
            raise
        upload.complete()
        self._add_progress(file)
        self._count_piece()

    def _read_chunks(self, file: PlannedFile) -> Iterator[bytes]:
        entry = file.entry
        for offset in range(0, entry.compressed_size, GATHER_SIZE):
            self._task_group.check()
            size = min(GATHER_SIZE, entry.compressed_size - offset)
            self._count_read(size)
            yield import_source.read(self._source, entry.data_offset + offset, size)

    # ------------------------------------------------------------------------------------------------------ progress

    def _count_read(self, size: int) -> None:
        with self._lock:
            self.bytes_read += size

    def _count_piece(self) -> None:
        with self._lock:
            self.pieces_written += 1

    def _add_progress(self, file: PlannedFile) -> None:
        with self._lock:
            self.progress = replace(
                self.progress,
                bytes_done=self.progress.bytes_done + file.entry.size,
                files_done=self.progress.files_done + 1,
            )


def _is_small(file: PlannedFile) -> bool:
    return max(file.entry.size, file.entry.compressed_size) <= GATHER_SIZE


def _group(files: Sequence[PlannedFile]) -> Iterator[list[PlannedFile]]:
    """Yield groups of small files that are close to each other in the archive."""
    group: list[PlannedFile] = []
    for file in files:
        if group:
            end = group[-1].entry.data_offset + group[-1].entry.compressed_size
            size = file.entry.data_offset + file.entry.compressed_size - group[0].entry.data_offset
            if file.entry.data_offset - end > MAX_GAP or size > GATHER_SIZE:
                yield group
                group = []
        group.append(file)
    if group:
        yield group


def _split(size: int) -> Iterator[tuple[int, int]]:
    """Yield the start and size of the parts that a file is copied in."""
    part_size = min(MAX_PART_SIZE, max(COPY_PART_SIZE, -(-size // MAX_PARTS)))
    count = -(-size // part_size)
    bounds = [size * number // count for number in range(count + 1)]
    for start, end in pairwise(bounds):
        yield start, end - start
