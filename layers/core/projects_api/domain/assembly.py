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

from projects_api.domain.crew import StoppedError
from projects_api.domain.exports import expiry
from projects_api.domain.making import Maker
from projects_api.domain.snapshot import ArtifactError, decode, encode, pinned, read_content
from projects_api.model.clock import now
from projects_api.model.entities import Progress
from projects_api.model.errors import ProjectNotFoundError, StorageUnavailableError
from projects_api.model.ids import ExportId, ProjectId
from projects_api.storage import archives, exports, projects
from projects_api.storage.errors import ConditionFailedError

#: How long a worker has an export without a sign of life, and how often, in seconds, it gives one.
LEASE = timedelta(seconds=30)
SIGN_OF_LIFE = 1.0

#: How often an export is taken up without coming further, before it has failed.
ATTEMPTS = 8


class LeaseLostError(Exception):
    """Another works on the export by now, or the project is gone."""


class OutOfTimeError(Exception):
    """There is more to do than this run has time for. Another is to go on, from what S3 has."""


def assemble(project_id: ProjectId, export_id: ExportId, *, holder: str, keep_going: Callable[[], bool]) -> None:
    """Assembles the archive of an export, if nobody else does and it is still to be done.

    Args:
        project_id: The project.
        export_id: The export, pending or left by a worker that died.
        holder: Who works: no two workers at a time give the same.
        keep_going: Says no when time is running out.

    Raises:
        OutOfTimeError: To be gone on with.
        StorageUnavailableError: AWS did not answer; to be gone on with as well.
    """
    lease = exports.Lease(project_id, export_id, holder)
    try:
        taken = lease.take(now() + LEASE)
        if taken.attempts > ATTEMPTS:
            lease.failed(error="It could not be assembled. Export again, and tell an operator.", finished_at=now())
            return
        run = _Run(lease, keep_going)
        try:
            run.assemble(taken.snapshot)
        except ArtifactError as error:
            lease.failed(error=str(error), finished_at=now())
        except Exception:
            with suppress(ConditionFailedError, StorageUnavailableError):
                lease.release(came_further=run.came_further)
            raise
    except (ConditionFailedError, LeaseLostError, ProjectNotFoundError):
        # another works on it, it is finished, or the project is gone
        _leave_nothing_behind_a_purge(project_id, export_id)


def _leave_nothing_behind_a_purge(project_id: ProjectId, export_id: ExportId) -> None:
    """Removes what a worker made that was believed dead, and so not waited for, where its project is deleted."""
    project = projects.get(project_id)
    if project is None or project.deleted_at:
        archives.clear_up(project_id, export_id)
        archives.delete(archives.key_of(project_id, export_id))


class _Run:
    """One run of one worker on one export."""

    def __init__(self, lease: exports.Lease, keep_going: Callable[[], bool]) -> None:
        self._lease = lease
        self._keep_going = keep_going
        self._lost = threading.Event()
        self._maker: Maker | None = None
        self._snapshot = ""
        self._checksums_kept = False

    @property
    def came_further(self) -> bool:
        """Whether this run has made any of the archive, or left checksums to the next."""
        return self._maker is not None and (self._maker.bytes_made > 0 or self._checksums_kept)

    def assemble(self, kept: str | None) -> None:
        """Assembles the archive of the snapshot that is kept under a name, or of a new one, and says it is ready."""
        key = archives.key_of(self._lease.project_id, self._lease.export_id)
        with self._signs_of_life():
            made = False
            maker = self._taken_up(kept) if kept else None
            if maker:
                made = archives.size_of(key) == maker.plan.size
            else:
                maker = self._begun(before=kept)
            if not made:
                self._maker = maker
                try:
                    maker.make(key, lambda number: self._work_key(f"volume-{number:04}"))
                except StoppedError:
                    self._keep_checksums(maker)
                    raise LeaseLostError if self._lost.is_set() else OutOfTimeError from None
                except StorageUnavailableError:
                    self._keep_checksums(maker)
                    raise
        moment, size, files = now(), maker.plan.size, len(maker.taken.pins)
        whole = Progress(bytes_done=size, bytes_total=size, files_done=files, files_total=files)
        self._lease.ready(progress=whole, finished_at=moment, expires_at=expiry(moment))

    def _begun(self, *, before: str | None) -> Maker:
        """Takes a snapshot, and settles that the export is of it, whoever goes on."""
        taken = pinned(read_content(self._lease.project_id, tell=self._lease.tell_revision))
        maker = Maker(taken, resumed=False, keep_going=self._may_go_on)
        if self._lost.is_set():
            raise LeaseLostError  # a purge may have passed here, behind which nothing is to be left
        name = f"{maker.plan.digest}-{self._lease.holder}.jsonl.gz"
        archives.write(self._work_key(name), encode(taken), content_type="application/gzip")
        self._lease.keep(name, before=before)
        self._snapshot = name
        return maker

    def _taken_up(self, name: str) -> Maker | None:
        """Goes on from the snapshot that was kept, unless another version of this program has planned it otherwise."""
        data = archives.read(self._work_key(name))
        if data is not None:
            self._snapshot = name
            maker = Maker(decode(data), resumed=True, keep_going=self._may_go_on, read=self._kept_checksums())
            if name.startswith(maker.plan.digest):
                return maker
        archives.clear_up(self._lease.project_id, self._lease.export_id)
        archives.delete(archives.key_of(self._lease.project_id, self._lease.export_id))
        return None

    def _keep_checksums(self, maker: Maker) -> None:
        """Keeps how far artifacts were read for their checksums, for the run that goes on."""
        if maker.bytes_read and not self._lost.is_set():  # a purge waits for no other
            archives.write(self._checksums_key(), json.dumps(maker.read).encode(), content_type="application/json")
            self._checksums_kept = True

    def _kept_checksums(self) -> dict[int, tuple[int, int]]:
        kept = json.loads(archives.read(self._checksums_key()) or "{}")
        return {int(index): (done, checksum) for index, (done, checksum) in kept.items()}

    def _checksums_key(self) -> str:
        """Of the snapshot alone: entries of another are others."""
        return self._work_key(f"{self._snapshot}-checksums.json")

    def _work_key(self, name: str) -> str:
        return archives.work_key(self._lease.project_id, self._lease.export_id, name)

    def _may_go_on(self) -> bool:
        return not self._lost.is_set() and self._keep_going()

    @contextmanager
    def _signs_of_life(self) -> Iterator[None]:
        """Keeps the lease meanwhile, and writes the progress, at most once a second."""
        ended = threading.Event()
        thread = threading.Thread(target=self._give_signs, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _give_signs(self, ended: threading.Event) -> None:
        written, renewed_at = Progress(), time.monotonic()
        try:
            while not ended.wait(SIGN_OF_LIFE):
                progress = self._maker.progress if self._maker else written
                age = time.monotonic() - renewed_at
                if progress == written and age < LEASE.total_seconds() / 3:
                    continue
                moment = time.monotonic()
                try:
                    self._lease.renew(progress=progress, until=now() + LEASE, came_further=self.came_further)
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
