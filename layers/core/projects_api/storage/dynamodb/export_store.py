"""Exports in the table. ``export_lease`` has what only the worker of an export writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from projects_api.entities.activity_entry import ActivityAction, ActivityObject, Actor, new_entry
from projects_api.entities.clock import now, sortable
from projects_api.entities.export import Export, ExportStatus, Trigger
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ExportId, ProjectId, UserId
from projects_api.entities.project import Membership, Project
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import activity_store, idempotency_store, keys, project_store, table
from projects_api.storage.dynamodb.item_mapping import (
    actor_to_json,
    export_from_item,
    export_to_item,
)
from projects_api.storage.dynamodb.keys import ACTIVE, Item, number, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: Time after which the recovery job finalizes a cancelled export, if neither its worker nor its request has done so.
CLEANUP_TIMEOUT = timedelta(seconds=30)


def get(project_id: ProjectId, export_id: ExportId) -> Export | None:
    """Return the export, or None if it does not exist or has expired. DynamoDB deletes expired items with a delay."""
    return _unexpired(table.get_item(keys.export(project_id, export_id)))


def get_with_membership(
    project_id: ProjectId, user_id: UserId, export_id: ExportId
) -> tuple[Membership | None, Export | None]:
    """Return the user's membership of the project and the export, in one read."""
    membership, (item,) = project_store.get_membership(project_id, user_id, keys.export(project_id, export_id))
    return membership, _unexpired(item)


def get_many(ids: Sequence[tuple[ProjectId, ExportId]]) -> list[Export]:
    """Return the exports that exist and have not expired."""
    items = table.get_items([keys.export(project_id, export_id) for project_id, export_id in ids])
    return list(filter(None, map(_unexpired, items.values())))


def list_all(project_id: ProjectId) -> Iterator[Export]:
    """Yield all exports of a project, newest first, including expired ones."""
    items = table.query_all(keys.project_partition(project_id), begins_with=keys.EXPORTS, descending=True)
    return map(export_from_item, items)


def _unexpired(item: Item | None) -> Export | None:
    export = export_from_item(item) if item else None
    return export if export and export.expires_at > now() else None


def list_page(project_id: ProjectId, *, after: ExportId | None, limit: int) -> tuple[list[Export], bool]:
    """Return a page of the exports, newest first, and whether there are more.

    Args:
        project_id: The project.
        after: Start after this export, or None for the first page.
        limit: Maximum number of exports to return.
    """
    items = table.query_all(
        keys.project_partition(project_id),
        begins_with=keys.EXPORTS,
        after=keys.export(project_id, after) if after else None,
        page_size=limit + 1,
        descending=True,
    )
    exports = list(islice(filter(None, map(_unexpired, items)), limit + 1))
    return exports[:limit], len(exports) > limit


def insert(project: Project, export: Export, actor: Actor, *, request: IdempotentRequest | None) -> None:
    """Store a new export and make it the project's latest, with the entry of the activity.

    Args:
        project: The project as it was read.
        export: The export.
        actor: The user who requested the export, or the schedule.
        request: The request, if it has an Idempotency-Key.

    Raises:
        RepeatedRequestError: An earlier request with the same Idempotency-Key took effect.
        ConditionFailedError: Another export was started since ``project`` was read, or the project is deleted.
    """
    condition, values = (
        f"{ACTIVE} AND attribute_not_exists(latest_export_id)",
        {":export": text(export.id)},
    )
    if project.latest_export_id:
        condition = f"{ACTIVE} AND latest_export_id = :before"
        values[":before"] = text(project.latest_export_id)
    idempotency_store.transact(
        request,
        {"export_id": export.id},
        table.build_update(
            keys.project(project.id), "SET latest_export_id = :export", condition=condition, values=values
        ),
        table.build_put(
            export_to_item(export) | {"started_by": text(actor_to_json(actor))}, condition="attribute_not_exists(PK)"
        ),
        build_entry(export.project_id, export.id, actor, ActivityAction.EXPORT_STARTED),
    )


def build_entry(
    project_id: ProjectId,
    export_id: ExportId,
    actor: Actor,
    action: ActivityAction,
    values: dict[str, Any] | None = None,
) -> TransactWriteItemTypeDef:
    """Return the write of an entry about an export in the project's activity."""
    object_ = ActivityObject("export", export_id)
    return activity_store.build_entry(new_entry(project_id, actor, action, object_, after=values))


def clear_due(project: Project, export: Export) -> None:
    """Make a project no longer due for the export schedule, unless its export has failed or was cancelled meanwhile.

    Raises:
        ConditionFailedError: The project has changed since it was read, so it remains due, or it is deleted.
    """
    try:
        table.transact(
            project_store.build_due_removal(project),
            table.build_condition_check(
                keys.export(project.id, export.id),
                condition="#status IN (:pending, :running, :ready)",
                names={"#status": "status"},
                values={
                    f":{status}": text(status)
                    for status in (ExportStatus.PENDING, ExportStatus.RUNNING, ExportStatus.READY)
                },
            ),
        )
    except ConditionFailedError as error:
        if error.failed[0]:
            raise


def postpone_recovery(project_id: ProjectId, export_id: ExportId, *, until: datetime) -> None:
    """Set the time at which the message of an export without a worker counts as lost.

    Raises:
        ConditionFailedError: A worker holds the lease, or the export is finished or deleted.
    """
    table.update_item(
        keys.export(project_id, export_id),
        "SET due_at = :until",
        condition="attribute_exists(pending_work) AND (attribute_not_exists(lease_until) OR lease_until < :now)",
        values={":until": text(sortable(until)), ":now": text(sortable(now()))},
    )


def cancel(project: Project, export: Export, actor: Actor) -> None:
    """Set the status of an unfinished export to cancelled.

    The export keeps its lease: its worker notices at the next write, and then stops. After a scheduled export, the
    project is due for the schedule again.

    Raises:
        ConditionFailedError: The export is finished, or the project is deleted.
    """
    moment = now()
    table.transact(
        project_store.build_due(project.id)
        if export.trigger is Trigger.SCHEDULE
        else table.build_condition_check(keys.project(project.id), condition=ACTIVE),
        table.build_update(
            keys.export(project.id, export.id),
            "SET #status = :cancelled, finished_at = :now, due_at = :due,"
            " revision = if_not_exists(revision, :revision)",
            condition="#status IN (:pending, :running)",
            names={"#status": "status"},
            values={
                ":cancelled": text(ExportStatus.CANCELLED),
                ":pending": text(ExportStatus.PENDING),
                ":running": text(ExportStatus.RUNNING),
                ":now": text(sortable(moment)),
                ":due": text(sortable(max(moment, export.lease_until or moment) + CLEANUP_TIMEOUT)),
                ":revision": number(project.revision),
            },
        ),
        build_entry(project.id, export.id, actor, ActivityAction.EXPORT_CANCELLED),
    )


def retire(export: Export, *, until: datetime) -> None:
    """Let a ready export expire at the time ``until``, and record that the recovery job must then remove its archive.

    Retirement also finalizes the export.

    Raises:
        ConditionFailedError: Someone else has retired or finalized the export, its archive has become the source of the
            next one, or the project is deleted.
    """
    kind = keys.pending_work("RETIRED", export.project_id)
    is_pending = "attribute_not_exists(pending_work)" if export.finalized else "attribute_exists(pending_work)"
    table.transact(
        table.build_condition_check(
            keys.project(export.project_id),
            condition=f"{ACTIVE} AND (attribute_not_exists(archive_export_id) OR archive_export_id <> :export)",
            values={":export": text(export.id)},
        ),
        table.build_update(
            keys.export(export.project_id, export.id),
            "SET retired_until = :seconds, pending_work = :kind, due_at = :until",
            condition=f"#status = :ready AND attribute_not_exists(retired_until) AND {is_pending}",
            names={"#status": "status"},
            values={
                ":ready": text(ExportStatus.READY),
                ":seconds": number(int(until.timestamp())),
                ":kind": text(kind),
                ":until": text(sortable(until)),
            },
        ),
    )


def build_hold(project_id: ProjectId, export_id: ExportId, *, until: datetime) -> TransactWriteItemTypeDef:
    """Return the write that keeps the archive of a ready export until a time, because something copies from it.

    Its condition fails if the archive is being removed, or the export is not ready or no longer exists.
    """
    return table.build_update(
        keys.export(project_id, export_id),
        "SET held_until = :until",
        condition="#status = :ready AND attribute_not_exists(removal_started)",
        names={"#status": "status"},
        values={":until": text(sortable(until)), ":ready": text(ExportStatus.READY)},
    )


def hold(project_id: ProjectId, export_id: ExportId, *, until: datetime) -> None:
    """Keep the archive of an export until a time, as ``build_hold`` does. Repeat to hold it longer.

    Raises:
        ConditionFailedError: The archive is being removed, or the export is not ready or no longer exists.
    """
    table.transact(build_hold(project_id, export_id, until=until))


def begin_removal(project_id: ProjectId, export_id: ExportId) -> bool:
    """Make it impossible to ``hold`` a retired archive. Return False if something holds it, or it no longer exists."""
    try:
        table.update_item(
            keys.export(project_id, export_id),
            "SET removal_started = :yes",
            condition="retired_until <= :seconds AND (attribute_not_exists(held_until) OR held_until < :now)",
            values={
                ":yes": {"BOOL": True},
                ":seconds": number(int(now().timestamp())),
                ":now": text(sortable(now())),
            },
        )
    except ConditionFailedError:
        return False
    return True


def postpone_removal(project_id: ProjectId, export_id: ExportId, *, until: datetime) -> None:
    """Set the time at which the recovery job tries again to remove a retired archive.

    Raises:
        ConditionFailedError: The export no longer exists.
    """
    table.update_item(
        keys.export(project_id, export_id),
        "SET due_at = :until",
        condition="attribute_exists(retired_until)",
        values={":until": text(sortable(until))},
    )


def delete(project_id: ProjectId, export_id: ExportId) -> None:
    """Delete an export. A missing one is ignored."""
    table.delete_items([keys.export(project_id, export_id)])


def mark_finalized(export: Export) -> None:
    """Remove a finished export from the pending work.

    Raises:
        ConditionFailedError: The export is deleted or retired.
    """
    table.update_item(
        keys.export(export.project_id, export.id),
        "REMOVE pending_work, due_at",
        condition="attribute_exists(PK) AND attribute_not_exists(retired_until)",
    )
