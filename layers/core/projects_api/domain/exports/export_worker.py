"""Carrying out an export: take its snapshot, plan the archive, and have S3 assemble it.

A worker may die at any line, run out of time, or run twice at once. All that it makes is determined by the snapshot, so
that whatever another made is as good as its own, and what S3 has of an upload is not made again.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from projects_api.domain.exports.assembler import ArchiveAssembler
from projects_api.domain.exports.export_requests import archive_expiry
from projects_api.domain.exports.snapshot import ArtifactError, pin_artifacts, read_content, restore_snapshot
from projects_api.domain.exports.task_group import CancelledError
from projects_api.entities.clock import now
from projects_api.entities.errors import ProjectNotFoundError, StorageUnavailableError
from projects_api.entities.export import Progress
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import export_store, project_store
from projects_api.storage.s3 import archive_store
from projects_api.storage.s3.snapshot_store import decode_snapshot, encode_snapshot

#: How long a worker has an export without a sign of life, and how often, in seconds, it gives one.
LEASE = timedelta(seconds=30)
HEARTBEAT_INTERVAL = 1.0

#: How often an export is snapshot up without coming further, before it has failed.
ATTEMPTS = 8


class LeaseLostError(Exception):
    """Another works on the export by now, or the project is gone."""


class OutOfTimeError(Exception):
    """There is more to do than this run has time for. Another is to go on, from what S3 has."""


def assemble(project_id: ProjectId, export_id: ExportId, *, holder: str, should_continue: Callable[[], bool]) -> None:
    """Assembles the archive of an export, if nobody else does and it is still to be done.

    Args:
        project_id: The project.
        export_id: The export, pending or left by a worker that died.
        holder: Who works: no two workers at a time give the same.
        should_continue: Says no when time is running out.

    Raises:
        OutOfTimeError: To be gone on with.
        StorageUnavailableError: AWS did not answer; to be gone on with as well.
    """
    lease = export_store.Lease(project_id, export_id, holder)
    try:
        taken = lease.take(now() + LEASE)
        if taken.attempts > ATTEMPTS:
            lease.mark_failed(error="It could not be assembled. Export again, and tell an operator.", finished_at=now())
            return
        run = _Run(lease, should_continue)
        try:
            run.assemble(taken.snapshot)
        except ArtifactError as error:
            lease.mark_failed(error=str(error), finished_at=now())
        except Exception:
            with suppress(ConditionFailedError, StorageUnavailableError):
                lease.release(made_progress=run.made_progress)
            raise
    except (ConditionFailedError, LeaseLostError, ProjectNotFoundError):
        # another works on it, it is finished, or the project is gone
        _delete_output_of_deleted_project(project_id, export_id)


def _delete_output_of_deleted_project(project_id: ProjectId, export_id: ExportId) -> None:
    """Removes what a worker made that was believed dead, and so not waited for, where its project is deleted."""
    project = project_store.get(project_id)
    if project is None or project.deleted_at:
        archive_store.delete_work_files(project_id, export_id)
        archive_store.delete(archive_store.archive_key(project_id, export_id))


class _Run:
    """One run of one worker on one export."""

    def __init__(self, lease: export_store.Lease, should_continue: Callable[[], bool]) -> None:
        self._lease = lease
        self._keep_going = should_continue
        self._lost = threading.Event()
        self._assembler: ArchiveAssembler | None = None
        self._snapshot = ""
        self._checksums_kept = False

    @property
    def made_progress(self) -> bool:
        """Whether this run has made any of the archive, or left checksums to the next."""
        return self._assembler is not None and (self._assembler.bytes_written > 0 or self._checksums_kept)

    def assemble(self, kept: str | None) -> None:
        """Assembles the archive of the snapshot that is kept under a name, or of a new one, and says it is ready."""
        key = archive_store.archive_key(self._lease.project_id, self._lease.export_id)
        with self._heartbeat():
            made = False
            assembler = self._resume_from_snapshot(kept) if kept else None
            if assembler:
                made = archive_store.object_size(key) == assembler.plan.size
            else:
                assembler = self._start_from_new_snapshot(before=kept)
            if not made:
                self._assembler = assembler
                try:
                    assembler.assemble(key, lambda number: self._work_key(f"volume-{number:04}"))
                except CancelledError:
                    self._save_checksums(assembler)
                    raise LeaseLostError if self._lost.is_set() else OutOfTimeError from None
                except StorageUnavailableError:
                    self._save_checksums(assembler)
                    raise
        moment, size, files = now(), assembler.plan.size, len(assembler.snapshot.pins)
        whole = Progress(bytes_done=size, bytes_total=size, files_done=files, files_total=files)
        self._lease.mark_ready(progress=whole, finished_at=moment, expires_at=archive_expiry(moment))

    def _start_from_new_snapshot(self, *, before: str | None) -> ArchiveAssembler:
        """Takes a snapshot, and settles that the export is of it, whoever goes on."""
        snapshot = pin_artifacts(read_content(self._lease.project_id, on_revision=self._lease.record_revision))
        assembler = ArchiveAssembler(snapshot, resumed=False, should_continue=self._should_continue)
        if self._lost.is_set():
            raise LeaseLostError  # a purge may have passed here, behind which nothing is to be left
        name = f"{assembler.plan.digest}-{self._lease.holder}.jsonl.gz"
        archive_store.write(
            self._work_key(name), encode_snapshot(snapshot.content, snapshot.pins), content_type="application/gzip"
        )
        self._lease.save_snapshot_name(name, before=before)
        self._snapshot = name
        return assembler

    def _resume_from_snapshot(self, name: str) -> ArchiveAssembler | None:
        """Goes on from the snapshot that was kept, unless another version of this program has planned it otherwise."""
        data = archive_store.read(self._work_key(name))
        if data is not None:
            self._snapshot = name
            assembler = ArchiveAssembler(
                restore_snapshot(*decode_snapshot(data)),
                resumed=True,
                should_continue=self._should_continue,
                read=self._load_checksums(),
            )
            if name.startswith(assembler.plan.digest):
                return assembler
        archive_store.delete_work_files(self._lease.project_id, self._lease.export_id)
        archive_store.delete(archive_store.archive_key(self._lease.project_id, self._lease.export_id))
        return None

    def _save_checksums(self, assembler: ArchiveAssembler) -> None:
        """Keeps how far artifacts were read for their checksums, for the run that goes on."""
        if assembler.bytes_read and not self._lost.is_set():  # a purge waits for no other
            archive_store.write(
                self._checksums_key(), json.dumps(assembler.read).encode(), content_type="application/json"
            )
            self._checksums_kept = True

    def _load_checksums(self) -> dict[int, tuple[int, int]]:
        kept = json.loads(archive_store.read(self._checksums_key()) or "{}")
        return {int(index): (done, checksum) for index, (done, checksum) in kept.items()}

    def _checksums_key(self) -> str:
        """Of the snapshot alone: entries of another are others."""
        return self._work_key(f"{self._snapshot}-checksums.json")

    def _work_key(self, name: str) -> str:
        return archive_store.work_file_key(self._lease.project_id, self._lease.export_id, name)

    def _should_continue(self) -> bool:
        return not self._lost.is_set() and self._keep_going()

    @contextmanager
    def _heartbeat(self) -> Iterator[None]:
        """Keeps the lease meanwhile, and writes the progress, at most once a second."""
        ended = threading.Event()
        thread = threading.Thread(target=self._send_heartbeats, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _send_heartbeats(self, ended: threading.Event) -> None:
        written, renewed_at = Progress(), time.monotonic()
        try:
            while not ended.wait(HEARTBEAT_INTERVAL):
                progress = self._assembler.progress if self._assembler else written
                age = time.monotonic() - renewed_at
                if progress == written and age < LEASE.total_seconds() / 3:
                    continue
                moment = time.monotonic()
                try:
                    self._lease.renew(progress=progress, until=now() + LEASE, made_progress=self.made_progress)
                except StorageUnavailableError:
                    if age > LEASE.total_seconds() * 2 / 3:
                        return
                    continue
                written, renewed_at = progress, moment
        except ConditionFailedError:
            return
        finally:
            if not ended.is_set():
                self._lost.set()
