"""Emptying a deleted project's partition."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from projects_api.entities.clock import sortable
from projects_api.entities.export import Export
from projects_api.entities.ids import ProjectId
from projects_api.entities.project import Project
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.item_mapping import export_from_item
from projects_api.storage.dynamodb.keys import text

#: What a project's partition holds beside its members, which count, and the project itself, which goes last.
_KINDS = (keys.EXPORTS, keys.RESOURCES)
_AT_ONCE = 500


def exports_of(project_id: ProjectId) -> Iterator[Export]:
    """All exports that there are, expired ones too."""
    return map(export_from_item, table.query_all(keys.project_partition(project_id), begins_with=keys.EXPORTS))


def postpone(project_id: ProjectId, *, by: datetime) -> None:
    """Postpones to ``by`` the moment when a purge counts as stalled; does nothing where it is finished."""
    with suppress(ConditionFailedError):
        table.update_one(
            keys.project(project_id),
            "SET due_at = :by",
            condition="attribute_exists(deleted_at)",
            values={":by": text(sortable(by))},
        )


def delete_item_batch(project_id: ProjectId) -> bool:
    """Deletes up to 500 items of the project.

    Returns:
        Whether there were any.
    """
    for kind in _KINDS:
        found = table.page(keys.project_partition(project_id), begins_with=kind, limit=_AT_ONCE).items
        if found:
            table.delete_many([{name: item[name] for name in ("PK", "SK")} for item in found])
            return True
    return False


def delete_project_item(project: Project) -> None:
    """Deletes the project's own item, and before that the answer that its Idempotency-Key is known by.

    A day later the same key may stand for another project; then it stays.
    """
    if project.idempotency_key:
        key = keys.idempotency(project.owner_id, project.idempotency_key)
        with suppress(ConditionFailedError):
            table.transact(table.delete(key, condition="project_id = :id", values={":id": text(project.id)}))
    table.delete_many([keys.project(project.id)])
