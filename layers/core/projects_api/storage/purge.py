"""Emptying a deleted project's partition."""

from collections.abc import Iterator

from projects_api.model.entities import Export, Project
from projects_api.model.ids import ProjectId
from projects_api.storage import keys, table
from projects_api.storage.items import export_from_item

#: What a project's partition holds beside its members, which count, and the project itself, which goes last.
_KINDS = (keys.EXPORTS, keys.RESOURCES)
_AT_ONCE = 500


def exports_of(project_id: ProjectId) -> Iterator[Export]:
    """All exports that there are, expired ones too."""
    return map(export_from_item, table.query_all(f"PROJECT#{project_id}", begins_with=keys.EXPORTS))


def delete_some(project_id: ProjectId) -> bool:
    """Deletes up to 500 items of the project.

    Returns:
        Whether there were any.
    """
    for kind in _KINDS:
        found = table.query(f"PROJECT#{project_id}", begins_with=kind, limit=_AT_ONCE).items
        if found:
            table.delete_many([{name: item[name] for name in ("PK", "SK")} for item in found])
            return True
    return False


def delete_last(project: Project) -> None:
    """Deletes the project's own item, and the answer that its Idempotency-Key is known by."""
    last = [keys.project(project.id)]
    if project.idempotency_key:
        last.insert(0, keys.idempotency(project.owner_id, project.idempotency_key))
    for key in last:
        table.delete_many([key])
