"""The worker of an import: it checks the archive, copies its files, and makes the project visible.

A worker can die at any line, run out of time, or run concurrently with another worker. Each run checks the archive
again, which gives the same plan, ids and keys, and skips the files that exist already: no file exists before its CRC-32
is verified.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from aws_lambda_powertools import Logger

from projects_api import settings
from projects_api.archive.archive_errors import ArchiveError
from projects_api.archive.manifest_reader import ManifestError
from projects_api.archive.zip_reader import PARALLEL_READS
from projects_api.domain.exports.task_group import CancelledError
from projects_api.domain.imports.file_copier import FileCopier
from projects_api.domain.imports.import_plan import ImportPlan, plan_import
from projects_api.domain.imports.import_start import EXPORT_HOLD
from projects_api.domain.imports.manifest_rows import MemberRow
from projects_api.domain.lease_heartbeat import LeaseHeartbeat
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.users import normalize_email
from projects_api.entities.activity_entry import ActivityAction, ActivityEntry, ActivityObject, Actor, new_entry
from projects_api.entities.clock import now
from projects_api.entities.errors import InvalidInputError, ProjectFullError, StorageUnavailableError, TooLargeError
from projects_api.entities.export import Progress
from projects_api.entities.ids import ImportId, UserId
from projects_api.entities.project import Member, Project, Role
from projects_api.entities.project_import import Import, ImportStatus, MembersMode
from projects_api.entities.resource import Resource, ResourceType, artifacts_prefix
from projects_api.entities.user import Email, User
from projects_api.storage import sqs
from projects_api.storage.aws_errors import ConditionFailedError, ObjectMissingError, ObjectRefusedError
from projects_api.storage.dynamodb import export_store, import_store, member_store, project_store, user_store
from projects_api.storage.dynamodb.import_lease import OWNER_WRITE, ImportLease
from projects_api.storage.dynamodb.import_store import MEMBERS_PER_TRANSACTION, RESOURCES_PER_TRANSACTION
from projects_api.storage.s3 import artifact_store, bucket_cleanup, import_source

logger = Logger(child=True)

#: Time after which a lease ends if the worker does not renew it.
LEASE = timedelta(seconds=30)

#: Seconds between two heartbeats of a worker.
HEARTBEAT_INTERVAL = 1.0

#: Number of consecutive attempts without progress after which an import fails.
ATTEMPTS = 8

#: Number of all runs of an import after which it fails. Lambda's detection of recursive loops is off for the worker.
MAX_RUNS = 200

#: Number of transactions with resources in parallel.
RESOURCE_THREADS = 4

#: Largest size of the resources in one transaction, as JSON in bytes. DynamoDB's limit is 4 MB.
MAX_TRANSACTION_SIZE = 3_000_000

#: Error of an import that fails after ``ATTEMPTS`` attempts.
FAILURE = "The import could not be completed. Start a new import, and tell an operator."

#: Error of an import whose archive was deleted or replaced.
ARCHIVE_MISSING = "The archive was deleted or changed during the import. Start a new import."

#: Error of an import whose archive S3 refuses to read, or whose files it refuses to write.
REFUSED = "The storage refused a request ({code}). Tell an operator, and start a new import when it is solved."

#: Error of an import whose user was deactivated meanwhile.
IMPORTER_DEACTIVATED = "The user who started the import was deactivated and can't own a project."


class ImportLeaseLostError(Exception):
    """Another worker has the lease of the import."""


class ImportTimeoutError(Exception):
    """The time of this run is over. Another run must resume the import."""


def run_import(import_id: ImportId, *, holder: str, should_continue: Callable[[], bool]) -> None:
    """Run an import. Do nothing if another worker has the lease or the import is finished.

    Args:
        import_id: The import. It is pending, or a worker that died has left it unfinished.
        holder: The identity of this worker, which no concurrent worker shares.
        should_continue: Called before each piece of work. Returns False when time is running out.

    Raises:
        ImportTimeoutError: Time has run out, and another run must resume the import.
        StorageUnavailableError: AWS was not available, and another run must resume the import.
    """
    lease = ImportLease(import_id, holder)
    try:
        acquired = lease.acquire(now() + LEASE)
        run = _Run(lease, acquired.import_, resumed=acquired.runs > 1, should_continue=should_continue)
        if acquired.attempts > ATTEMPTS or acquired.runs > MAX_RUNS:
            run.fail([FAILURE], 1)
            return
        try:
            run.execute()
        except ArchiveError as error:
            run.fail(error.errors, error.count)
        except ObjectMissingError:
            run.fail([ARCHIVE_MISSING], 1)
        except ObjectRefusedError as error:
            logger.warning("S3 refused a request of an import: %s", error.code)
            run.fail([REFUSED.format(code=error.code)], 1)
        except (ProjectFullError, TooLargeError) as error:
            run.fail([str(error)], 1)
        except Exception:
            with suppress(ConditionFailedError, StorageUnavailableError):
                lease.release(made_progress=run.made_progress)
            raise
    except (ConditionFailedError, ImportLeaseLostError):
        # another worker has the lease, or the import is finished
        _delete_output_of_failed_import(import_id)


def _delete_output_of_failed_import(import_id: ImportId) -> None:
    """Delete the artifacts of an import that has failed meanwhile.

    The purge waits only for workers that hold a lease. A worker without one deletes its own output.
    """
    import_ = import_store.get(import_id)
    if import_ and import_.status is ImportStatus.FAILED:
        bucket, prefix = settings.artifacts_bucket(), artifacts_prefix(import_.project_id)
        bucket_cleanup.abort_uploads(bucket, prefix)
        bucket_cleanup.delete_objects(bucket, prefix)


class _Run:
    """A run of a worker on an import."""

    def __init__(
        self, lease: ImportLease, import_: Import, *, resumed: bool, should_continue: Callable[[], bool]
    ) -> None:
        self._lease = lease
        self._import = import_
        self._resumed = resumed
        self._has_time = should_continue
        self._copier: FileCopier | None = None
        self._warnings: list[str] = []
        self._heartbeat = LeaseHeartbeat(self._renew, lambda: self._progress, lease=LEASE, interval=HEARTBEAT_INTERVAL)

    @property
    def _progress(self) -> Progress:
        return self._copier.progress if self._copier else self._import.progress

    @property
    def made_progress(self) -> bool:
        """Return whether this run has written anything that the next run need not write again."""
        return self._copier is not None and self._copier.pieces_written > 0

    def execute(self) -> None:
        """Check the archive, write everything and make the project visible."""
        try:
            with self._heartbeat.running():
                self._hold_export()
                plan = self._plan()
                self._warnings = plan.warnings
                self._copy_files(plan)
                self._write_resources(plan)
                retry_on_conflict(lambda: self._add_members_and_finish(plan))
        except CancelledError:
            raise (ImportLeaseLostError if self._heartbeat.lost.is_set() else ImportTimeoutError) from None

    def fail(self, errors: list[str], error_count: int) -> None:
        """Mark the import as failed, which deletes its project."""
        moment = now()
        self._lease.mark_failed(
            self._import,
            errors=errors,
            error_count=error_count,
            warnings=self._warnings,
            finished_at=moment,
            purge_due_at=moment + sqs.MESSAGE_TIMEOUT,
        )

    def _renew(self, progress: Progress) -> None:
        self._lease.renew(progress=progress, until=now() + LEASE, made_progress=self.made_progress)

    def _should_continue(self) -> bool:
        return not self._heartbeat.lost.is_set() and self._has_time()

    def _check(self) -> None:
        if not self._should_continue():
            raise CancelledError

    # ------------------------------------------------------------------------------------------------------- steps

    def _hold_export(self) -> None:
        """Keep the export that is copied from being removed.

        Raises:
            ObjectMissingError: It is being removed.
        """
        copied = self._import.copied_export
        if copied:
            try:
                export_store.hold(copied.project_id, copied.export_id, until=now() + EXPORT_HOLD)
            except ConditionFailedError:
                raise ObjectMissingError from None

    def _plan(self) -> ImportPlan:
        self._source = import_source.open_archive(self._import)
        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            return plan_import(
                lambda start, size: import_source.read(self._source, start, size),
                self._source.size,
                import_id=self._import.id,
                project_id=self._import.project_id,
                name=self._import.name,
                map_=pool.map,
                check=self._check,
            )

    def _copy_files(self, plan: ImportPlan) -> None:
        existing = {}
        if self._resumed:
            listed = artifact_store.list_all(self._import.project_id)
            existing = {artifact.pin.key: artifact.pin.size for artifact in listed}
        self._copier = FileCopier(
            self._source, plan.files, resumed=self._resumed, should_continue=self._should_continue
        )
        self._copier.copy(existing)

    def _write_resources(self, plan: ImportPlan) -> None:
        """Write the resources. A repeat writes the same items again."""

        def write(batch: list[Resource]) -> None:
            self._check()
            import_store.insert_resources(self._import, batch)

        with ThreadPoolExecutor(RESOURCE_THREADS) as pool:
            batches = _batch_resources(plan)
            while group := list(itertools.islice(batches, RESOURCE_THREADS)):
                for _ in pool.map(write, group):
                    pass

    def _add_members_and_finish(self, plan: ImportPlan) -> None:
        """Make the project visible with its members, in one transaction for the owner and as many others as fit.

        Raises:
            ConditionFailedError: A user has changed meanwhile.
            ImportLeaseLostError: The lease was lost, or the import is finished.
        """
        project = project_store.get(self._import.project_id)
        if project is None or project.import_id != self._import.id:
            raise ImportLeaseLostError
        importer = self._import.importer
        owner = Member(importer.user_id, importer.email, importer.name, Role.OWNER, project.created_at)
        existing = {member.user_id for member in member_store.list_page(project.id, limit=None, offset=0)}
        members = [owner]
        if self._import.members is MembersMode.MATCH:
            matches = _match_members(plan.members, _find_users(plan.members), owner)
            members += [member for member in matches if member.user_id not in existing]
        for member in members[MEMBERS_PER_TRANSACTION:]:
            self._check()
            import_store.insert_member(self._import, project, member)
        self._check()
        moment = now()
        project = replace(
            project,
            name=self._import.name or plan.name,
            description=plan.description,
            updated_at=moment,
            counts={type_: plan.counts[type_] for type_ in ResourceType},
            member_count=len(existing) + len(members),
        )
        try:
            self._lease.mark_ready(
                self._import,
                project,
                members[:MEMBERS_PER_TRANSACTION],
                entry=_imported_entry(self._import, plan, project),
                progress=self._progress,
                warnings=plan.warnings,
                finished_at=moment,
            )
        except ConditionFailedError as error:
            if any(error.failed[:2]):  # the project and the import, not a user
                raise ImportLeaseLostError from None
            if error.failed[OWNER_WRITE]:
                raise ArchiveError([IMPORTER_DEACTIVATED], 1) from None
            raise


def _imported_entry(import_: Import, plan: ImportPlan, project: Project) -> ActivityEntry:
    """Return the first entry of the project's activity."""
    counts = {f"{type_}_count": count for type_, count in project.counts.items()}
    return new_entry(
        project.id,
        Actor(import_.importer.user_id, import_.importer.name),
        ActivityAction.PROJECT_IMPORTED,
        ActivityObject("project", project.id, project.name),
        after={
            "import_id": import_.id,
            "origin": plan.source_project_id,
            "member_count": project.member_count,
            **counts,
        },
    )


def _batch_resources(plan: ImportPlan) -> Iterator[list[Resource]]:
    """Yield the resources of the project in batches that fit into a transaction."""
    batch: list[Resource] = []
    size = 0
    try:
        for resource in plan.list_resources():
            fields_size = 3 * len(str(resource.fields))
            if batch and (len(batch) == RESOURCES_PER_TRANSACTION or size + fields_size > MAX_TRANSACTION_SIZE):
                yield batch
                batch, size = [], 0
            batch.append(resource)
            size += fields_size
    except ManifestError as error:
        raise ArchiveError([str(error)], 1) from None
    if batch:
        yield batch


def _find_users(rows: list[MemberRow]) -> Mapping[Email, User]:
    """Return the registered users with the emails of members, by email."""
    emails = set()
    for row in rows:
        with suppress(InvalidInputError):
            emails.add(normalize_email(row.email))
    return user_store.get_many_by_email(emails)


def _match_members(rows: list[MemberRow], users: Mapping[Email, User], owner: Member) -> Iterator[Member]:
    """Yield the members that are registered here, with roles up to admin."""
    seen: set[UserId] = {owner.user_id}
    for row in rows:
        user = None
        with suppress(InvalidInputError):
            user = users.get(normalize_email(row.email))
        if user and not user.deactivated_at and user.id not in seen:
            seen.add(user.id)
            role = Role.ADMIN if row.role is Role.OWNER else row.role
            yield Member(user.id, user.email, user.name, role, min(row.created_at, now()))
