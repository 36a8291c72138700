"""Writes that exports and imports share: the leases of their workers, and their progress."""

from datetime import datetime

from projects_api.entities.clock import now, sortable
from projects_api.entities.export import ExportStatus, Progress
from projects_api.storage.dynamodb import table
from projects_api.storage.dynamodb.item_mapping import PROGRESS
from projects_api.storage.dynamodb.keys import Item, number, text


def acquire(key: Item, holder: str, until: datetime) -> Item:
    """Acquire the lease of an export or import until a time, and set its status to running.

    Args:
        key: The key of the export or import.
        holder: The id of the worker's invocation.
        until: When the lease expires.

    Returns:
        The item, which counts this run in ``attempts`` and ``runs``.

    Raises:
        ConditionFailedError: Another worker holds the lease, or the work is not started, finished or deleted.
    """
    return table.update_item(
        key,
        "SET #status = :running, lease_holder = :me, lease_until = :until, due_at = :until"
        " ADD attempts :one, runs :one",
        condition="(#status = :pending OR #status = :running)"
        " AND (attribute_not_exists(lease_until) OR lease_until < :now OR lease_holder = :me)",
        names={"#status": "status"},
        values={
            ":running": text(ExportStatus.RUNNING),
            ":pending": text(ExportStatus.PENDING),
            ":me": text(holder),
            ":until": text(sortable(until)),
            ":now": text(sortable(now())),
            ":one": number(1),
        },
    )


def release(key: Item, holder: str, *, made_progress: bool) -> None:
    """Release a lease, so that another worker can continue immediately.

    Args:
        key: The key of the export or import.
        holder: The holder of the lease.
        made_progress: Whether this attempt has made progress. If so, the count of attempts starts again at zero.

    Raises:
        ConditionFailedError: The lease was lost.
    """
    table.update_item(
        key,
        "REMOVE lease_holder, lease_until" + (", attempts" if made_progress else ""),
        condition="lease_holder = :me",
        values={":me": text(holder)},
    )


def assign_renewal(progress: Progress, *, until: datetime, made_progress: bool, values: Item) -> str:
    """Return the assignments that extend a lease and store the progress, and add their values to ``values``."""
    values[":until"] = text(sortable(until))
    assignments = "lease_until = :until, " + assign_progress(progress, values)
    if made_progress:
        values[":none"] = number(0)
        assignments += ", attempts = :none"
    return assignments


def assign_progress(progress: Progress, values: Item) -> str:
    """Return the assignments of an update expression that store the progress, and add their values to ``values``."""
    values |= {f":{name}": number(getattr(progress, name)) for name in PROGRESS}
    return ", ".join(f"{name} = :{name}" for name in PROGRESS)
