"""The lease of an export, and all that only its holder writes: progress, snapshot and outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from projects_api.entities.activity_entry import UNKNOWN, ActivityAction
from projects_api.entities.clock import sortable
from projects_api.entities.export import ExportStatus, Progress
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.dynamodb import keys, lease_writes, table
from projects_api.storage.dynamodb.export_store import build_entry
from projects_api.storage.dynamodb.item_mapping import (
    actor_from_json,
)
from projects_api.storage.dynamodb.keys import ACTIVE, Item, number, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: The action that the activity shows for each outcome of an export.
_OUTCOMES = {
    ExportStatus.READY: ActivityAction.EXPORT_READY,
    ExportStatus.FAILED: ActivityAction.EXPORT_FAILED,
}


@dataclass(frozen=True, slots=True)
class AcquiredLease:
    """The state of an export when its lease was acquired.

    Attributes:
        attempts: The number of attempts without progress, including this one.
        runs: The number of all runs of the export, including this one.
        snapshot: The name of the export's snapshot, or None before the first one is saved.
        fresh: Whether the archive is made without the previous one.
    """

    attempts: int
    runs: int
    snapshot: str | None
    fresh: bool


@dataclass(frozen=True, slots=True)
class ExportLease:
    """The exclusive right to work on an export for a limited time. Only the holder can change the export.

    Attributes:
        project_id: The project.
        export_id: The export.
        holder: The id of the worker's invocation.
    """

    project_id: ProjectId
    export_id: ExportId
    holder: str

    def acquire(self, until: datetime) -> AcquiredLease:
        """Acquire the lease until a time, and set the export's status to running.

        Raises:
            ConditionFailedError: Another worker holds the lease, or the export is finished or deleted.
        """
        item = lease_writes.acquire(keys.export(self.project_id, self.export_id), self.holder, until)
        return AcquiredLease(
            int(item["attempts"]["N"]),
            int(item["runs"]["N"]),
            item["snapshot_name"]["S"] if "snapshot_name" in item else None,
            item.get("fresh", {}).get("BOOL", False),
        )

    def record_revision(self, revision: int) -> None:
        """Store the revision of the project that the export contains. A request for a later one starts a new export.

        Raises:
            ConditionFailedError: The lease was lost, or the project is deleted.
        """
        self._update("SET revision = :revision", {":revision": number(revision)})

    def save_snapshot_name(self, snapshot: str, *, before: str | None) -> None:
        """Store the name of the export's snapshot.

        Args:
            snapshot: The name.
            before: The stored name to replace, or None if there is none.

        Raises:
            ConditionFailedError: The lease was lost, the stored name is not ``before``, or the project is deleted.
        """
        values, condition = {":snapshot": text(snapshot)}, "attribute_not_exists(snapshot_name)"
        if before:
            values[":before"], condition = text(before), "snapshot_name = :before"
        self._update("SET snapshot_name = :snapshot", values, condition=condition)

    def renew(self, *, progress: Progress, until: datetime, made_progress: bool) -> None:
        """Extend the lease and store the progress.

        Args:
            progress: The progress of the export.
            until: When the lease expires.
            made_progress: Whether this attempt has made progress. If so, the count of attempts starts again at zero.

        Raises:
            ConditionFailedError: The lease was lost, or the project is deleted.
        """
        values: Item = {}
        sets = lease_writes.assign_renewal(progress, until=until, made_progress=made_progress, values=values)
        self._update(f"SET {sets}", values)

    def release(self, *, made_progress: bool) -> None:
        """Release the lease, so that another worker, or the purge of a deleted project, can continue immediately.

        Args:
            made_progress: Whether this attempt has made progress. If so, the count of attempts starts again at zero.

        Raises:
            ConditionFailedError: The lease was lost.
        """
        lease_writes.release(keys.export(self.project_id, self.export_id), self.holder, made_progress=made_progress)

    def mark_ready(self, *, progress: Progress, crc32: int, finished_at: datetime, expires_at: datetime) -> None:
        """Set the status to ready, release the lease, and make the archive the source of the project's next one.

        Args:
            progress: The progress of the export.
            crc32: The CRC-32 of the archive.
            finished_at: The time.
            expires_at: When the archive expires.

        Raises:
            ConditionFailedError: The lease was lost, or the project is deleted.
        """
        values = {
            ":size": number(progress.bytes_total),
            ":crc32": number(crc32),
            ":expires_at": number(int(expires_at.timestamp())),
        }
        sets = "size_bytes = :size, crc32 = :crc32, expires_at = :expires_at"
        sets += ", " + lease_writes.assign_progress(progress, values)
        self._finish(ExportStatus.READY, sets, finished_at, values, outcome={"size_bytes": progress.bytes_total})

    def mark_failed(self, *, error: str, finished_at: datetime) -> None:
        """Set the status to failed and release the lease.

        Args:
            error: What is wrong and what to do, for the user.
            finished_at: The time.

        Raises:
            ConditionFailedError: The lease was lost, or the project is deleted.
        """
        values: Item = {":error": text(error)}
        names, outcome = {"#error": "error"}, {"error": error}
        self._finish(ExportStatus.FAILED, "#error = :error", finished_at, values, names, outcome=outcome)

    def _finish(
        self,
        status: ExportStatus,
        sets: str,
        finished_at: datetime,
        values: Item,
        names: dict[str, str] | None = None,
        *,
        outcome: dict[str, Any],
    ) -> None:
        item = table.get_item(keys.export(self.project_id, self.export_id))
        starter = actor_from_json(item["started_by"]["S"]) if item else UNKNOWN
        project = None
        if status is ExportStatus.READY:
            project = table.build_update(
                keys.project(self.project_id),
                "SET archive_export_id = :export",
                condition=ACTIVE,
                values={":export": text(self.export_id)},
            )
        self._update(
            f"SET #status = :status, finished_at = :finished_at, {sets} REMOVE lease_holder, lease_until",
            values | {":status": text(status), ":finished_at": text(sortable(finished_at))},
            build_entry(self.project_id, self.export_id, starter, _OUTCOMES[status], outcome),
            names=names,
            project=project,
        )

    def _update(
        self,
        expression: str,
        values: Item,
        *writes: TransactWriteItemTypeDef,
        condition: str = "",
        names: dict[str, str] | None = None,
        project: TransactWriteItemTypeDef | None = None,
    ) -> None:
        """Update the export if this worker holds the lease, nobody cancelled it, and the project is not deleted.

        Args:
            expression: The update expression.
            values: The values in it.
            writes: Further writes of the same transaction.
            condition: A further condition.
            names: The attribute names in the expression.
            project: The write to the project's item in the same transaction, by default only a check of its condition.
        """
        table.transact(
            project or table.build_condition_check(keys.project(self.project_id), condition=ACTIVE),
            table.build_update(
                keys.export(self.project_id, self.export_id),
                expression,
                condition="lease_holder = :me AND #status = :running" + (f" AND {condition}" if condition else ""),
                names={"#status": "status"} | (names or {}),
                values=values | {":me": text(self.holder), ":running": text(ExportStatus.RUNNING)},
            ),
            *writes,
        )
