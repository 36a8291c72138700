"""The lease of an import, and the transactions of its holder: the last one makes the project visible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from projects_api.entities.activity_entry import ActivityEntry
from projects_api.entities.clock import sortable
from projects_api.entities.export import Progress
from projects_api.entities.ids import ImportId
from projects_api.entities.project import Member, Project
from projects_api.entities.project_import import Import, ImportStatus
from projects_api.storage.dynamodb import activity_store, keys, lease_writes, table
from projects_api.storage.dynamodb.import_store import IMPORTING, build_member, import_from_item
from projects_api.storage.dynamodb.item_mapping import count_attribute
from projects_api.storage.dynamodb.keys import Item, number, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: Index of the write of ``ImportLease.mark_ready`` that fails if the owner, its first member, is deactivated.
OWNER_WRITE = 5


@dataclass(frozen=True, slots=True)
class AcquiredImport:
    """An import whose lease was acquired.

    Attributes:
        import_: The import.
        attempts: The number of attempts without progress, including this one.
        runs: The number of all runs of the import, including this one.
    """

    import_: Import
    attempts: int
    runs: int


@dataclass(frozen=True, slots=True)
class ImportLease:
    """The exclusive right to work on an import for a limited time. Only the holder can change the import.

    Attributes:
        import_id: The import.
        holder: The id of the worker's invocation.
    """

    import_id: ImportId
    holder: str

    def acquire(self, until: datetime) -> AcquiredImport:
        """Acquire the lease until a time, and set the import's status to running.

        Raises:
            ConditionFailedError: Another worker holds the lease, or the import is not started, finished or deleted.
        """
        item = lease_writes.acquire(keys.project_import(self.import_id), self.holder, until)
        return AcquiredImport(import_from_item(item), int(item["attempts"]["N"]), int(item["runs"]["N"]))

    def renew(self, *, progress: Progress, until: datetime, made_progress: bool) -> None:
        """Extend the lease and store the progress.

        Args:
            progress: The progress of the import.
            until: When the lease expires.
            made_progress: Whether this attempt has made progress. If so, the count of attempts starts again at zero.

        Raises:
            ConditionFailedError: The lease was lost.
        """
        values: Item = {":me": text(self.holder)}
        sets = lease_writes.assign_renewal(progress, until=until, made_progress=made_progress, values=values)
        table.update_item(
            keys.project_import(self.import_id),
            f"SET due_at = :until, {sets}",
            condition="lease_holder = :me",
            values=values,
        )

    def release(self, *, made_progress: bool) -> None:
        """Release the lease, so that another worker can continue immediately.

        Args:
            made_progress: Whether this attempt has made progress. If so, the count of attempts starts again at zero.

        Raises:
            ConditionFailedError: The lease was lost.
        """
        lease_writes.release(keys.project_import(self.import_id), self.holder, made_progress=made_progress)

    def mark_ready(
        self,
        import_: Import,
        project: Project,
        members: Sequence[Member],
        *,
        entry: ActivityEntry,
        progress: Progress,
        warnings: Sequence[str],
        finished_at: datetime,
    ) -> None:
        """Make the project visible, add its owner and members, and set the import to ready, all in one transaction.

        Args:
            import_: The import.
            project: The project with its name, description, counts, number of members and times.
            members: The owner and other members, at most ``MEMBERS_PER_TRANSACTION``.
            entry: The entry of the activity.
            progress: The final progress.
            warnings: Remarks on the archive.
            finished_at: The time.

        Raises:
            ConditionFailedError: The lease was lost, the import has failed, or a user does not exist.
        """
        values: Item = {":warnings": text(json.dumps(list(warnings), ensure_ascii=False))}
        sets = "warnings = :warnings, " + lease_writes.assign_progress(progress, values)
        project_values: Item = {
            ":name": text(project.name),
            ":description": text(project.description),
            ":updated_at": text(sortable(project.updated_at)),
            ":member_count": number(project.member_count),
            ":due": text(keys.pending_work("DUE", project.id)),
            ":import": text(import_.id),
            **{f":{count_attribute(type_)}": number(count) for type_, count in project.counts.items()},
        }
        counts = "".join(f", {count_attribute(type_)} = :{count_attribute(type_)}" for type_ in project.counts)
        table.transact(
            table.build_update(
                keys.project(project.id),
                "SET #name = :name, description = :description, updated_at = :updated_at, member_count = :member_count,"
                f" pending_work = :due, due_at = :updated_at{counts} REMOVE import_id",
                condition=IMPORTING,
                names={"#name": "name"},
                values=project_values,
            ),
            self._build_finish(ImportStatus.READY, sets, finished_at, values),
            activity_store.build_entry(entry),
            *(write for member in members for write in build_member(project, member)),
        )

    def mark_failed(
        self,
        import_: Import,
        *,
        errors: Sequence[str],
        error_count: int,
        warnings: Sequence[str],
        finished_at: datetime,
        purge_due_at: datetime,
    ) -> None:
        """Set the status to failed and delete the project, whose purge removes what the import has created.

        Args:
            import_: The import.
            errors: The first errors, for the user.
            error_count: The number of all errors.
            warnings: Remarks on the archive.
            finished_at: The time.
            purge_due_at: When the recovery job queues the purge if its message is lost.

        Raises:
            ConditionFailedError: The lease was lost.
        """
        values: Item = {
            ":errors": text(json.dumps(list(errors), ensure_ascii=False)),
            ":error_count": number(error_count),
            ":warnings": text(json.dumps(list(warnings), ensure_ascii=False)),
        }
        sets = "errors = :errors, error_count = :error_count, warnings = :warnings"
        table.transact(
            table.build_update(
                keys.project(import_.project_id),
                "SET deleted_at = :now, due_at = :due, pending_work = :purge REMOVE padding",
                condition=IMPORTING,
                values={
                    ":now": text(sortable(finished_at)),
                    ":due": text(sortable(purge_due_at)),
                    ":purge": text(keys.pending_work("PURGE", import_.project_id)),
                    ":import": text(import_.id),
                },
            ),
            self._build_finish(ImportStatus.FAILED, sets, finished_at, values),
        )

    def _build_finish(
        self, status: ImportStatus, sets: str, finished_at: datetime, values: Item
    ) -> TransactWriteItemTypeDef:
        return table.build_update(
            keys.project_import(self.import_id),
            f"SET #status = :status, finished_at = :finished_at, {sets}"
            " REMOVE lease_holder, lease_until, attempts, runs",
            condition="lease_holder = :me",
            names={"#status": "status"},
            values=values
            | {
                ":status": text(status),
                ":finished_at": text(sortable(finished_at)),
                ":me": text(self.holder),
            },
        )
