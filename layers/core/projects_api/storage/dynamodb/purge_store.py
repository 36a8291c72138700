"""The items of a deleted project, for its purge."""

from contextlib import suppress
from datetime import datetime

from projects_api.entities.clock import sortable
from projects_api.entities.ids import ProjectId
from projects_api.entities.project import Project
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import idempotency_store, keys, table
from projects_api.storage.dynamodb.keys import text

#: Prefixes of the items to delete in batches. ``member_store`` removes the members, because each changes a total.
_PREFIXES = (keys.EXPORTS, keys.RESOURCES, keys.FILES, keys.IDEMPOTENCY)
_BATCH_SIZE = 500


def postpone_recovery(project_id: ProjectId, *, until: datetime) -> None:
    """Set the time at which the purge counts as stalled. If the purge is finished, do nothing."""
    with suppress(ConditionFailedError):
        table.update_item(
            keys.project(project_id),
            "SET due_at = :until",
            condition="attribute_exists(deleted_at)",
            values={":until": text(sortable(until))},
        )


def delete_item_batch(project_id: ProjectId) -> bool:
    """Delete up to 500 items of the project: exports, resources, uploaded files or claims on Idempotency-Keys.

    Returns:
        Whether there were any.
    """
    for prefix in _PREFIXES:
        items = table.query_page(keys.project_partition(project_id), begins_with=prefix, limit=_BATCH_SIZE).items
        if items:
            table.delete_items([{name: item[name] for name in ("PK", "SK")} for item in items])
            return True
    return False


def delete_project_item(project: Project) -> None:
    """Delete the claim on the Idempotency-Key that created the project, then the project's own item."""
    if project.idempotency_claim:
        with suppress(ConditionFailedError):  # the same key belongs to another project now
            table.transact(idempotency_store.build_deletion(project.idempotency_claim, project.id))
    table.delete_items([keys.project(project.id)])
