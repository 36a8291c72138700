"""Carrying out an export: read the project, pin its artifacts, plan the archive, have S3 assemble it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING
from zlib import crc32

from projects_api.archive.manifest import MANIFEST_PATH, Content, File, files_of, manifest
from projects_api.archive.plan import Copy, Literal, Part, Plan, plan
from projects_api.archive.zip_format import Entry
from projects_api.domain.exports import expiry
from projects_api.model.clock import now
from projects_api.model.entities import Progress
from projects_api.model.errors import ProjectNotFoundError, StorageUnavailableError
from projects_api.model.ids import ExportId, ProjectId
from projects_api.storage import exports, members, objects, projects, resources
from projects_api.storage.errors import ConditionFailedError, ObjectMissingError
from projects_api.storage.objects import PinnedObject, Upload

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: How many artifacts are pinned at once, and how many parts are made at once. Each of these holds up to
#: ``plan.GATHERED_PART`` in memory.
PINNING = 32
ASSEMBLING = 8

#: How long a worker has an export without a sign of life, and how often it gives one.
LEASE = timedelta(seconds=30)
SIGN_OF_LIFE = 1.0

SNAPSHOT_ATTEMPTS = 10


class _ProgressWriter:
    """How far the work is, written at most once a second, which also keeps the lease."""

    def __init__(self, lease: exports.Lease, revision: int, archive: Plan, files: int) -> None:
        self._lease = lease
        self._revision = revision
        self._files = files
        self._total = archive.size
        self._bytes = 0
        self._lock = threading.Lock()
        self._written_at = 0.0

    def add(self, part: Part) -> None:
        with self._lock:
            self._bytes += part.size
            if time.monotonic() - self._written_at < SIGN_OF_LIFE:
                return
            self.write()

    def write(self) -> None:
        """Writes the progress.

        Raises:
            ConditionFailedError: The lease was lost, or the project is gone.
        """
        self._lease.write(revision=self._revision, progress=self._now(), until=now() + LEASE)
        self._written_at = time.monotonic()

    def end(self) -> Progress:
        return Progress(self._total, self._total, self._files, self._files)

    def _now(self) -> Progress:
        done = self._files * self._bytes // self._total if self._total else 0
        return Progress(self._bytes, self._total, done, self._files)


class ArtifactError(Exception):
    """An artifact vanished or changed. The text names it, and is shown to clients."""


def assemble(project_id: ProjectId, export_id: ExportId, holder: str) -> None:
    """Assembles the archive of an export, if nobody else does and it is still to be done.

    Args:
        project_id: The project.
        export_id: The export, pending or left by a worker that died.
        holder: Who works: no two workers at a time give the same.

    Raises:
        StorageUnavailableError: AWS did not answer; the export can be taken up again.
    """
    lease = exports.Lease(project_id, export_id, holder)
    try:
        lease.take(now() + LEASE)
        _assemble(lease)
    except (ConditionFailedError, ProjectNotFoundError):
        return  # another works on it, it is finished, or it is gone


def _assemble(lease: exports.Lease) -> None:
    content = read_content(lease.project_id)
    files = files_of(content)
    try:
        pinned = _pin(files)
        archive = plan_archive(content, files, pinned)
        progress = _ProgressWriter(lease, content.project.revision, archive, len(files))
        progress.write()
        _execute(archive, pinned, files, lease, progress)
    except ArtifactError as error:
        lease.failed(error=str(error), progress=Progress(files_total=len(files)), finished_at=now())
        return
    moment = now()
    try:
        lease.ready(size_bytes=archive.size, progress=progress.end(), finished_at=moment, expires_at=expiry(moment))
    except ConditionFailedError:
        if projects.get(lease.project_id) is None:
            objects.delete_archive(lease.project_id, lease.export_id)
        raise


def read_content(project_id: ProjectId) -> Content:
    """The project, its members and its resources, all as they were at one moment.

    They are read one after the other; if the project's revision has grown meanwhile, they are read again.

    Raises:
        ProjectNotFoundError: It is gone.
        StorageUnavailableError: It never stood still.
    """
    project = projects.get(project_id)
    for _ in range(SNAPSHOT_ATTEMPTS):
        if project is None or project.deleted_at:
            raise ProjectNotFoundError
        content = Content(project, members.page(project_id, limit=None, offset=0), list(resources.all_of(project_id)))
        project = projects.get(project_id)
        if project and project.revision == content.project.revision:
            return content
    raise StorageUnavailableError


def plan_archive(content: Content, files: list[File], pinned: list[PinnedObject]) -> Plan:
    """The plan of the archive of ``content``; the pinned objects are those of ``files``, in their order."""
    data = manifest(content, files, [one.size for one in pinned], [one.crc32 for one in pinned])
    first = Entry(MANIFEST_PATH, len(data), crc32(data), content.project.updated_at)
    entries = [
        Entry(file.path, one.size, one.crc32, file.resource.timestamp) for file, one in zip(files, pinned, strict=True)
    ]
    return plan((first, data), entries)


def _pin(files: list[File]) -> list[PinnedObject]:
    def pin(file: File) -> PinnedObject:
        try:
            return objects.pin(file.artifact)
        except ObjectMissingError:
            raise ArtifactError(
                f"The artifact {file.artifact.key} of {file.resource.type} '{file.resource.name}' is not in the bucket."
                " Upload it, or delete the resource, and export again."
            ) from None

    with ThreadPoolExecutor(PINNING) as pool:
        return list(pool.map(pin, files))


def _execute(
    archive: Plan, pinned: list[PinnedObject], files: list[File], lease: exports.Lease, progress: _ProgressWriter
) -> None:
    """Makes the parts, several at once, and the archive of them; leaves no upload behind where that fails."""
    upload = Upload(lease.project_id, lease.export_id)
    stop = threading.Event()

    def make(number: int, part: Part) -> CompletedPartTypeDef | None:
        if stop.is_set():
            return None
        try:
            made = _make_part(upload, number, part, pinned)
        except ObjectMissingError:
            stop.set()
            raise _changed(part, files) from None
        except BaseException:
            stop.set()
            raise
        progress.add(part)
        return made

    try:
        with ThreadPoolExecutor(ASSEMBLING) as pool:
            made = list(pool.map(make, range(1, len(archive.parts) + 1), archive.parts))
        upload.complete([part for part in made if part])
    except BaseException:
        upload.abort()
        raise


def _make_part(upload: Upload, number: int, part: Part, pinned: list[PinnedObject]) -> CompletedPartTypeDef:
    if isinstance(part, Copy):
        source = pinned[part.range.index]
        return upload.copy(number, source, start=part.range.start, size=part.range.size)
    data = b"".join(
        segment.data
        if isinstance(segment, Literal)
        else objects.read(pinned[segment.index], start=segment.start, size=segment.size)
        for segment in part.segments
    )
    return upload.put(number, data)


def _changed(part: Part, files: list[File]) -> ArtifactError:
    ranges = [part.range] if isinstance(part, Copy) else [s for s in part.segments if not isinstance(s, Literal)]
    names = ", ".join(files[one.index].artifact.key for one in ranges)
    return ArtifactError(f"An artifact changed or vanished while it was being exported: {names}. Export again.")
