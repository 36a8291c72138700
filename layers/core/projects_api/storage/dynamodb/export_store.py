"""Exports in the table: the record, its lease, its progress."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from projects_api.entities.clock import now, sortable
from projects_api.entities.export import Export, ExportStatus, Progress
from projects_api.entities.ids import ExportId, ProjectId, UserId
from projects_api.entities.project import Membership, Project
from projects_api.storage.dynamodb import keys, project_store, table
from projects_api.storage.dynamodb.item_mapping import PROGRESS, export_from_item, export_to_item
from projects_api.storage.dynamodb.keys import Item, number, text


def get(project_id: ProjectId, export_id: ExportId) -> Export | None:
    """The export, unless it has expired: the table forgets that in its own time."""
    return _unexpired(table.get(keys.export(project_id, export_id)))


def find(project_id: ProjectId, user_id: UserId, export_id: ExportId) -> tuple[Membership | None, Export | None]:
    """An export with what the user may do in its project, in one read."""
    membership, (item,) = project_store.find(project_id, user_id, keys.export(project_id, export_id))
    return membership, _unexpired(item)


def _unexpired(item: Item | None) -> Export | None:
    export = export_from_item(item) if item else None
    return export if export and export.expires_at > now() else None


def page(project_id: ProjectId, *, after: ExportId | None, limit: int) -> tuple[list[Export], bool]:
    """A page of the exports, newest first, and whether there is more."""
    rows = table.query_all(
        keys.project_partition(project_id),
        begins_with=keys.EXPORTS,
        after=keys.export(project_id, after) if after else None,
        at_a_time=limit + 1,
        descending=True,
    )
    found = list(islice(filter(None, map(_unexpired, rows)), limit + 1))
    return found[:limit], len(found) > limit


def insert(project: Project, export: Export) -> None:
    """Makes ``export`` the project's latest, if ``project`` still shows the one before.

    Raises:
        ConditionFailedError: Another was started meanwhile, or the project is gone.
    """
    condition, values = (
        f"{project_store.ACTIVE} AND attribute_not_exists(latest_export_id)",
        {":export": text(export.id)},
    )
    if project.latest_export_id:
        condition = f"{project_store.ACTIVE} AND latest_export_id = :before"
        values[":before"] = text(project.latest_export_id)
    table.transact(
        table.update(keys.project(project.id), "SET latest_export_id = :export", condition=condition, values=values),
        table.put(export_to_item(export), condition="attribute_not_exists(PK)"),
    )


def postpone(project_id: ProjectId, export_id: ExportId, *, by: datetime) -> None:
    """Postpones to ``by`` the moment when the message of an export that nobody works on counts as lost.

    Raises:
        ConditionFailedError: Somebody works on it, it is finished, or it is gone.
    """
    table.update_one(
        keys.export(project_id, export_id),
        "SET due_at = :by",
        condition="attribute_exists(pending_work) AND (attribute_not_exists(lease_until) OR lease_until < :now)",
        values={":by": text(sortable(by)), ":now": text(sortable(now()))},
    )


def mark_finalized(export: Export) -> None:
    """Takes a finished export off what is to be done.

    Raises:
        ConditionFailedError: It is gone.
    """
    table.update_one(
        keys.export(export.project_id, export.id),
        "REMOVE pending_work, due_at",
        condition="attribute_exists(PK)",
    )


@dataclass(frozen=True, slots=True)
class TakenLease:
    """An export whose lease was taken.

    Attributes:
        attempts: How often it was taken up, this time included, without coming further.
        snapshot: The name of the snapshot that it is of, once there is one.
    """

    attempts: int
    snapshot: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an export until a time. Only its holder can change the export."""

    project_id: ProjectId
    export_id: ExportId
    holder: str

    def take(self, until: datetime) -> TakenLease:
        """Takes the lease, and the export runs.

        Raises:
            ConditionFailedError: Another holds it, or the export is finished or gone.
        """
        item = table.update_one(
            keys.export(self.project_id, self.export_id),
            "SET #status = :running, lease_holder = :me, lease_until = :until, due_at = :until ADD attempts :one",
            condition="(#status = :pending OR #status = :running)"
            " AND (attribute_not_exists(lease_until) OR lease_until < :now OR lease_holder = :me)",
            names={"#status": "status"},
            values={
                ":running": text(ExportStatus.RUNNING),
                ":pending": text(ExportStatus.PENDING),
                ":me": text(self.holder),
                ":until": text(sortable(until)),
                ":now": text(sortable(now())),
                ":one": number(1),
            },
        )
        return TakenLease(int(item["attempts"]["N"]), item["snapshot_name"]["S"] if "snapshot_name" in item else None)

    def record_revision(self, revision: int) -> None:
        """Writes which revision of the project the export is of, so that who asks for another does not join it.

        Raises:
            ConditionFailedError: The lease was lost, or the project is gone.
        """
        self._update("SET revision = :revision", {":revision": number(revision)})

    def save_snapshot_name(self, snapshot: str, *, before: str | None) -> None:
        """Settles what snapshot the export is of, in the place of ``before``.

        Raises:
            ConditionFailedError: The lease was lost, another snapshot was settled, or the project is gone.
        """
        values, condition = {":snapshot": text(snapshot)}, "attribute_not_exists(snapshot_name)"
        if before:
            values[":before"], condition = text(before), "snapshot_name = :before"
        self._update("SET snapshot_name = :snapshot", values, condition=condition)

    def renew(self, *, progress: Progress, until: datetime, made_progress: bool) -> None:
        """Keeps the lease until then, and writes how far the work is.

        Raises:
            ConditionFailedError: The lease was lost, or the project is gone.
        """
        values = {":until": text(sortable(until))}
        expression = "SET lease_until = :until, " + _progress(progress, values)
        if made_progress:
            values[":none"] = number(0)
            expression += ", attempts = :none"
        self._update(expression, values)

    def release(self, *, made_progress: bool) -> None:
        """Lets another go on at once; where the project is being deleted, the purge.

        Raises:
            ConditionFailedError: The lease was lost.
        """
        table.update_one(
            keys.export(self.project_id, self.export_id),
            "REMOVE lease_holder, lease_until" + (", attempts" if made_progress else ""),
            condition="lease_holder = :me",
            values={":me": text(self.holder)},
        )

    def mark_ready(self, *, progress: Progress, finished_at: datetime, expires_at: datetime) -> None:
        """Ends the work well.

        Raises:
            ConditionFailedError: The lease was lost, or the project is gone.
        """
        values = {":size": number(progress.bytes_total), ":expires_at": number(int(expires_at.timestamp()))}
        sets = "size_bytes = :size, expires_at = :expires_at, " + _progress(progress, values)
        self._finish(ExportStatus.READY, sets, finished_at, values)

    def mark_failed(self, *, error: str, finished_at: datetime) -> None:
        """Ends the work with an error that says what to do.

        Raises:
            ConditionFailedError: The lease was lost, or the project is gone.
        """
        self._finish(ExportStatus.FAILED, "#error = :error", finished_at, {":error": text(error)}, {"#error": "error"})

    def _finish(
        self,
        status: ExportStatus,
        sets: str,
        finished_at: datetime,
        values: Item,
        names: dict[str, str] | None = None,
    ) -> None:
        self._update(
            f"SET #status = :status, finished_at = :finished_at, {sets} REMOVE lease_holder, lease_until",
            values | {":status": text(status), ":finished_at": text(sortable(finished_at))},
            names={"#status": "status", **(names or {})},
        )

    def _update(
        self, expression: str, values: Item, *, condition: str = "", names: dict[str, str] | None = None
    ) -> None:
        """A change by who holds the lease, of an export whose project is there."""
        table.transact(
            table.check(keys.project(self.project_id), condition=project_store.ACTIVE),
            table.update(
                keys.export(self.project_id, self.export_id),
                expression,
                condition="lease_holder = :me" + (f" AND {condition}" if condition else ""),
                names=names,
                values=values | {":me": text(self.holder)},
            ),
        )


def _progress(progress: Progress, values: Item) -> str:
    values |= {f":{name}": number(getattr(progress, name)) for name in PROGRESS}
    return ", ".join(f"{name} = :{name}" for name in PROGRESS)
