"""Resources in the table, which are also the entries of the timeline."""

from collections.abc import Iterator

from projects_api.model.entities import Resource, ResourceType
from projects_api.model.ids import ProjectId, ResourceId
from projects_api.storage import keys, table
from projects_api.storage.items import count_of, resource_from_item, resource_to_item
from projects_api.storage.keys import Item, text
from projects_api.storage.projects import changed


def get(project_id: ProjectId, type_: ResourceType, resource_id: ResourceId) -> Resource | None:
    """The resource, also where it has been deleted."""
    item = table.get(keys.resource(project_id, type_, resource_id))
    return resource_from_item(item) if item else None


def record(project_id: ProjectId, before: Resource | None, after: Resource) -> None:
    """Puts ``after`` in the place of ``before``, and keeps the project's count of such resources.

    Raises:
        ConditionFailedError: Something else than ``before`` is there by now, or the project is gone (the first write).
    """
    item = resource_to_item(project_id, after)
    if before is None:
        write = table.put(item, condition="attribute_not_exists(PK)")
    else:
        write = table.put(
            item,
            condition="#version = :before",
            names={"#version": "version"},
            values={":before": text(before.version)},
        )
    difference = (not after.deleted) - (before is not None and not before.deleted)
    table.transact(changed(project_id, counters={count_of(after.type): difference}), write)


def page(
    project_id: ProjectId, *, type_: ResourceType | None, after: Resource | None, limit: int, descending: bool
) -> tuple[list[Resource], bool]:
    """A page of the timeline behind ``after``, and whether there is more.

    Only ``after``'s type, id and timestamp matter, so that one which has been deleted meanwhile still marks a place.
    """
    index, sort_key, prefix = keys.ORDERED, "ordering", keys.RESOURCES
    if type_:
        index, sort_key, prefix = keys.TYPED, "type_ordering", keys.typed_resources(type_)
    start: Item | None = None
    if after:
        item = resource_to_item(project_id, after)
        start = {name: item[name] for name in ("PK", "SK", sort_key)}
    found = table.query(
        f"PROJECT#{project_id}",
        begins_with=prefix,
        index=index,
        sort_key=sort_key,
        after=start,
        limit=limit,
        descending=descending,
    )
    return [resource_from_item(item) for item in found.items], found.more


def all_of(project_id: ProjectId) -> Iterator[Resource]:
    """All resources there are, oldest first."""
    rows = table.query_all(f"PROJECT#{project_id}", begins_with=keys.RESOURCES, index=keys.ORDERED, sort_key="ordering")
    return (resource_from_item(item) for item in rows)
