"""The worker of an export: it takes a snapshot, plans the archive and assembles it in S3.

A worker can die at any line, run out of time, or run concurrently with another worker. The snapshot determines every
byte of the archive. A worker can therefore use the work of any other one, and it skips the parts that S3 already has.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from aws_lambda_powertools import Logger

from projects_api.domain.exports.artifact_errors import ArtifactError
from projects_api.domain.exports.assembler import ArchiveAssembler
from projects_api.domain.exports.checksums import SavedChecksums
from projects_api.domain.exports.export_requests import archive_expiry
from projects_api.domain.exports.previous_archive import PreviousArchiveLostError, find_previous_archive
from projects_api.domain.exports.snapshot import pin_artifacts, read_content, restore_snapshot
from projects_api.domain.exports.task_group import CancelledError
from projects_api.domain.lease_heartbeat import LeaseHeartbeat
from projects_api.entities.clock import now
from projects_api.entities.errors import ProjectNotFoundError, StorageUnavailableError
from projects_api.entities.export import ExportStatus, Progress
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.aws_errors import ConditionFailedError, ObjectMissingError
from projects_api.storage.dynamodb import export_store, project_store
from projects_api.storage.dynamodb.export_lease import AcquiredLease, ExportLease
from projects_api.storage.s3 import archive_store
from projects_api.storage.s3.archive_store import StoredObject
from projects_api.storage.s3.snapshot_format import StoredSnapshot, decode_snapshot, encode_snapshot

logger = Logger(child=True)

#: Time after which a lease ends if the worker does not renew it.
LEASE = timedelta(seconds=30)

#: Seconds between two heartbeats of a worker. A heartbeat writes the progress and renews the lease.
HEARTBEAT_INTERVAL = 1.0

#: Number of consecutive attempts without progress after which an export fails.
ATTEMPTS = 8

#: Number of all runs of an export after which it fails. Lambda's detection of recursive loops is off for the worker,
#: which queues its own next run (https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html). 200 runs take
#: almost two days.
MAX_RUNS = 200

#: Error of an export that fails after ``ATTEMPTS`` attempts.
FAILURE = "The archive could not be assembled. Start a new export, and tell an operator."


class LeaseLostError(Exception):
    """Another worker has the lease of the export, or the project was deleted."""


class OutOfTimeError(Exception):
    """The time of this run is over. Another run must resume the export."""


def assemble(project_id: ProjectId, export_id: ExportId, *, holder: str, should_continue: Callable[[], bool]) -> None:
    """Assemble the archive of an export. Do nothing if another worker has the lease or the export is finished.

    Args:
        project_id: The project.
        export_id: The export. It is pending, or a worker that died has left it unfinished.
        holder: The identity of this worker, which no concurrent worker shares.
        should_continue: Called before each piece of work. Returns False when time is running out.

    Raises:
        OutOfTimeError: Time has run out, and another run must resume the export.
        StorageUnavailableError: AWS was not available, and another run must resume the export.
    """
    lease = ExportLease(project_id, export_id, holder)
    try:
        taken = lease.acquire(now() + LEASE)
        if taken.attempts > ATTEMPTS or taken.runs > MAX_RUNS:
            lease.mark_failed(error=FAILURE, finished_at=now())
            return
        run = _Run(lease, should_continue)
        try:
            run.execute(taken)
        except ArtifactError as error:
            lease.mark_failed(error=str(error), finished_at=now())
        except Exception:
            with suppress(ConditionFailedError, StorageUnavailableError):
                lease.release(made_progress=run.made_progress)
            raise
    except (ConditionFailedError, LeaseLostError, ProjectNotFoundError):
        # another worker has the lease, the export is finished or cancelled, or the project was deleted
        _delete_unwanted_output(project_id, export_id)
        with suppress(ConditionFailedError):  # only a cancelled export still has the lease of this worker
            lease.release(made_progress=False)


def _delete_unwanted_output(project_id: ProjectId, export_id: ExportId) -> None:
    """Delete the output of an export that was cancelled, or whose project was deleted.

    The purge of a project waits only for workers that hold a lease. A worker without one deletes its own output.
    """
    export, project = export_store.get(project_id, export_id), project_store.get(project_id)
    is_cancelled = export is not None and export.status is ExportStatus.CANCELLED
    if is_cancelled or project is None or project.deleted_at:
        archive_store.delete_work_files(project_id, export_id)
        archive_store.delete_archive(project_id, export_id)


class _Run:
    """A run of a worker on an export."""

    def __init__(self, lease: ExportLease, should_continue: Callable[[], bool]) -> None:
        self._lease = lease
        self._has_time = should_continue
        self._assembler: ArchiveAssembler | None = None
        self._snapshot_name = ""
        self._checksums_saved = False
        self._heartbeat = LeaseHeartbeat(self._renew, lambda: self._progress, lease=LEASE, interval=HEARTBEAT_INTERVAL)

    @property
    def _progress(self) -> Progress:
        return self._assembler.progress if self._assembler else Progress()

    @property
    def made_progress(self) -> bool:
        """Return whether this run has assembled bytes of the archive, or has saved checksums for the next run."""
        return self._assembler is not None and (self._assembler.bytes_written > 0 or self._checksums_saved)

    def execute(self, acquired: AcquiredLease) -> None:
        """Assemble the archive and mark the export as ready.

        Args:
            acquired: The state of the export, with the snapshot that an earlier run has saved, if there is one.
        """
        try:
            with self._heartbeat.running():
                assembler, checksum = self._make_archive(acquired)
        except CancelledError:
            raise LeaseLostError if self._heartbeat.lost.is_set() else OutOfTimeError from None
        moment, size, files = now(), assembler.plan.size, len(assembler.snapshot.pins)
        progress = Progress(bytes_done=size, bytes_total=size, files_done=files, files_total=files)
        self._lease.mark_ready(progress=progress, crc32=checksum, finished_at=moment, expires_at=archive_expiry(moment))

    def _make_archive(self, acquired: AcquiredLease) -> tuple[ArchiveAssembler, int]:
        """Assemble the archive and write its index. Return the assembler and the CRC-32 of the archive."""
        key = archive_store.archive_key(self._lease.project_id, self._lease.export_id)
        archive = None
        assembler = self._resume_from_snapshot(acquired.snapshot) if acquired.snapshot else None
        if assembler:
            archive = archive_store.describe(key)
        else:
            assembler = self._start_from_new_snapshot(before=acquired.snapshot, fresh=acquired.fresh)
        if archive is None or archive.size != assembler.plan.size:
            try:
                self._run_assembler(assembler, key)
            except PreviousArchiveLostError:
                logger.info("The previous archive is no longer available. The archive is planned without it.")
                self._discard_work()
                assembler = self._start_from_new_snapshot(before=self._snapshot_name, fresh=True)
                self._run_assembler(assembler, key)
            archive = archive_store.describe(key)
        if archive is None:
            raise StorageUnavailableError
        return assembler, self._write_index(assembler, key, archive)

    def _run_assembler(self, assembler: ArchiveAssembler, key: str) -> None:
        self._assembler = assembler
        try:
            # the name of the snapshot keeps the work of different plans apart
            assembler.assemble(key, lambda name: self._work_key(f"{self._snapshot_name}-{name}"))
        except (CancelledError, StorageUnavailableError):
            self._save_checksums(assembler)
            raise

    def _write_index(self, assembler: ArchiveAssembler, key: str, archive: StoredObject) -> int:
        """Write the index of the archive, from which the next export copies unchanged files.

        Returns:
            The CRC-32 of the archive.
        """
        try:
            index, checksum = assembler.build_index(key, archive)
        except ObjectMissingError:  # another worker has replaced the archive
            raise StorageUnavailableError from None
        if self._heartbeat.lost.is_set():
            raise LeaseLostError  # a purge waits only for a worker with a lease
        index_key = archive_store.index_key(self._lease.project_id, self._lease.export_id)
        archive_store.write(index_key, index, content_type="application/gzip")
        return checksum

    def _start_from_new_snapshot(self, *, before: str | None, fresh: bool) -> ArchiveAssembler:
        """Take a snapshot and save it for all later runs.

        Args:
            before: The name of the snapshot that the new one replaces.
            fresh: Whether to plan the archive without the previous one.
        """
        content = read_content(self._lease.project_id, on_revision=self._lease.record_revision)
        previous = None if fresh else find_previous_archive(self._lease.project_id, content.project.archive_export_id)
        snapshot = pin_artifacts(content, previous, self._should_continue)
        assembler = ArchiveAssembler(snapshot, resumed=False, should_continue=self._should_continue)
        if self._heartbeat.lost.is_set():
            raise LeaseLostError  # the project may be purged already, and a new file would remain in the bucket
        name = f"{assembler.plan.digest}-{self._lease.holder}.jsonl.gz"
        source = (previous.export_id, previous.index.etag) if previous else None
        archive_store.write(
            self._work_key(name),
            encode_snapshot(StoredSnapshot(snapshot.content, snapshot.pins, source)),
            content_type="application/gzip",
        )
        self._lease.save_snapshot_name(name, before=before)
        self._snapshot_name = name
        return assembler

    def _resume_from_snapshot(self, name: str) -> ArchiveAssembler | None:
        """Resume from a saved snapshot.

        Returns:
            None if another version of this program has planned the archive differently, or if the previous archive is
            no longer what it was.
        """
        data = archive_store.read(self._work_key(name))
        if data is not None:
            self._snapshot_name = name
            content, pins, source = decode_snapshot(data)
            previous = find_previous_archive(self._lease.project_id, source[0]) if source else None
            if source is None or (previous and previous.index.etag == source[1]):
                assembler = ArchiveAssembler(
                    restore_snapshot(content, list(pins), previous),
                    resumed=True,
                    should_continue=self._should_continue,
                    saved_checksums=self._load_checksums(),
                )
                if name.startswith(assembler.plan.digest):
                    return assembler
        self._discard_work()
        return None

    def _discard_work(self) -> None:
        """Delete the work of earlier runs, which belongs to another plan."""
        archive_store.delete_work_files(self._lease.project_id, self._lease.export_id)
        archive_store.delete_archive(self._lease.project_id, self._lease.export_id)

    def _save_checksums(self, assembler: ArchiveAssembler) -> None:
        """Save the checksums of artifacts for the next run."""
        # without the lease, a purge does not wait for this worker, and the file would be left behind
        if assembler.checksums.gained and not self._heartbeat.lost.is_set():
            archive_store.write(
                self._checksums_key(), assembler.checksums.save().encode(), content_type="application/json"
            )
            self._checksums_saved = True

    def _load_checksums(self) -> SavedChecksums | None:
        data = archive_store.read(self._checksums_key())
        return SavedChecksums.decode(data) if data else None

    def _checksums_key(self) -> str:
        """Return the key of the saved checksums, which are valid for one snapshot only."""
        return self._work_key(f"{self._snapshot_name}-checksums.json")

    def _work_key(self, name: str) -> str:
        return archive_store.work_file_key(self._lease.project_id, self._lease.export_id, name)

    def _renew(self, progress: Progress) -> None:
        self._lease.renew(progress=progress, until=now() + LEASE, made_progress=self.made_progress)

    def _should_continue(self) -> bool:
        return not self._heartbeat.lost.is_set() and self._has_time()
