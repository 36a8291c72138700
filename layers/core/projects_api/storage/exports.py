"""Exports in the table: the record, its lease, its progress."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from projects_api.model.clock import now, sortable
from projects_api.model.entities import Export, ExportStatus, Membership, Progress, Project
from projects_api.model.ids import ExportId, ProjectId, UserId
from projects_api.storage import keys, projects, table
from projects_api.storage.items import PROGRESS, export_from_item, export_to_item
from projects_api.storage.keys import Item, number, text


def get(project_id: ProjectId, export_id: ExportId) -> Export | None:
    """The export, unless it has expired: the table forgets that in its own time."""
    return _unexpired(table.get(keys.export(project_id, export_id)))


def find(project_id: ProjectId, user_id: UserId, export_id: ExportId) -> tuple[Membership | None, Export | None]:
    """An export with what the user may do in its project, in one read."""
    membership, (item,) = projects.find(project_id, user_id, keys.export(project_id, export_id))
    return membership, _unexpired(item)


def _unexpired(item: Item | None) -> Export | None:
    export = export_from_item(item) if item else None
    return export if export and export.expires_at > now() else None


def page(project_id: ProjectId, *, after: ExportId | None, limit: int) -> tuple[list[Export], bool]:
    """A page of the exports, newest first, and whether there is more."""
    found = table.query(
        f"PROJECT#{project_id}",
        begins_with=keys.EXPORTS,
        after=keys.export(project_id, after) if after else None,
        limit=limit,
        descending=True,
    )
    return [export for item in found.items if (export := _unexpired(item))], found.more


def insert(project: Project, export: Export) -> None:
    """Makes ``export`` the project's latest, if ``project`` still shows the one before.

    One that the schedule asked for takes the project off what is due.

    Raises:
        ConditionFailedError: Another was started meanwhile, or the project is gone.
    """
    condition, values = f"{projects.ACTIVE} AND attribute_not_exists(latest_export_id)", {":export": text(export.id)}
    if project.latest_export_id:
        condition = f"{projects.ACTIVE} AND latest_export_id = :before"
        values[":before"] = text(project.latest_export_id)
    table.transact(
        table.update(keys.project(project.id), "SET latest_export_id = :export", condition=condition, values=values),
        table.put(export_to_item(export), condition="attribute_not_exists(PK)"),
    )


def off_schedule(project: Project) -> None:
    """Takes a project off what is due.

    Raises:
        ConditionFailedError: It has changed since ``project`` was read, so that it is due all the same.
    """
    table.update_one(
        keys.project(project.id),
        "REMOVE #work, work_since",
        condition=f"{projects.ACTIVE} AND revision = :revision",
        names={"#work": "work"},
        values={":revision": number(project.revision)},
    )


def settle(export: Export) -> None:
    """Takes a finished export off what is to be done.

    Raises:
        ConditionFailedError: It is gone.
    """
    table.update_one(
        keys.export(export.project_id, export.id),
        "REMOVE #work, work_since",
        condition="attribute_exists(PK)",
        names={"#work": "work"},
    )


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an export until a time; who has it not changes nothing of the export."""

    project_id: ProjectId
    export_id: ExportId
    holder: str

    def _update(self, expression: str, condition: str, values: Item) -> dict[str, Any]:
        return {
            "key": keys.export(self.project_id, self.export_id),
            "expression": expression,
            "condition": condition,
            "names": {"#status": "status"},
            "values": values,
        }

    def take(self, until: datetime) -> Export:
        """Takes the lease, and the export runs.

        Raises:
            ConditionFailedError: Another holds it, or the export is finished or gone.
        """
        item = table.update_one(
            **self._update(
                "SET #status = :running, lease_holder = :me, lease_until = :until",
                "(#status = :pending OR #status = :running)"
                " AND (attribute_not_exists(lease_until) OR lease_until < :now OR lease_holder = :me)",
                {
                    ":running": text(ExportStatus.RUNNING),
                    ":pending": text(ExportStatus.PENDING),
                    ":me": text(self.holder),
                    ":until": text(sortable(until)),
                    ":now": text(sortable(now())),
                },
            )
        )
        return export_from_item(item)

    def write(self, *, revision: int, progress: Progress, until: datetime) -> None:
        """Writes how far the work is, and keeps the lease until then.

        Raises:
            ConditionFailedError: The lease was lost, or the project is gone.
        """
        values = {":revision": number(revision), ":until": text(sortable(until)), ":me": text(self.holder)}
        expression = "SET revision = :revision, lease_until = :until, " + _progress(progress, values)
        change = self._update(expression, "lease_holder = :me", values)
        del change["names"]
        self._transact_with_project(change)

    def ready(self, *, size_bytes: int, progress: Progress, finished_at: datetime, expires_at: datetime) -> None:
        """Ends the work well.

        Raises:
            ConditionFailedError: The lease was lost, or the project is gone.
        """
        values = {
            ":size": number(size_bytes),
            ":expires_at": number(int(expires_at.timestamp())),
        }
        self._finish(
            ExportStatus.READY, "size_bytes = :size, expires_at = :expires_at, ", progress, finished_at, values
        )

    def failed(self, *, error: str, progress: Progress, finished_at: datetime) -> None:
        """Ends the work with an error that says what to do.

        Raises:
            ConditionFailedError: The lease was lost, or the project is gone.
        """
        self._finish(ExportStatus.FAILED, "#error = :error, ", progress, finished_at, {":error": text(error)})

    def _finish(self, status: ExportStatus, sets: str, progress: Progress, finished_at: datetime, values: Item) -> None:
        values |= {":status": text(status), ":finished_at": text(sortable(finished_at)), ":me": text(self.holder)}
        expression = f"SET #status = :status, finished_at = :finished_at, {sets}{_progress(progress, values)}"
        change = self._update(expression + " REMOVE lease_holder, lease_until", "lease_holder = :me", values)
        change["names"] |= {"#error": "error"} if "#error" in sets else {}
        self._transact_with_project(change)

    def _transact_with_project(self, change: dict[str, Any]) -> None:
        table.transact(table.check(keys.project(self.project_id), condition=projects.ACTIVE), table.update(**change))


def _progress(progress: Progress, values: Item) -> str:
    values |= {f":{name}": number(getattr(progress, name)) for name in PROGRESS}
    return ", ".join(f"{name} = :{name}" for name in PROGRESS)
