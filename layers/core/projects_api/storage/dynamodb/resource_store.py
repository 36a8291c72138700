"""Resources in the table, which are also the entries of the timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.resource import Resource, ResourceType
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.item_mapping import count_attribute, resource_from_item, resource_to_item
from projects_api.storage.dynamodb.keys import Item, text
from projects_api.storage.dynamodb.project_store import changed

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

type ResourceKey = tuple[ResourceType, ResourceId]


#: How many resources are recorded at once. A transaction takes 100 items and 4 MB, and one resource up to 108 KB.
RESOURCES_PER_TRANSACTION = 35


def get_many(project_id: ProjectId, places: Iterable[ResourceKey]) -> dict[ResourceKey, Resource]:
    """The resources that there are at ``places``, also those that have been deleted."""
    found = table.get_many([keys.resource(project_id, *place) for place in places])
    return {resource.key: resource for resource in map(resource_from_item, found.values())}


def record(project_id: ProjectId, changes: Sequence[tuple[Resource | None, Resource]]) -> None:
    """Puts each resource in the place of what was there before it, and keeps the project's counts: all, or nothing.

    Raises:
        ConditionFailedError: Something else is there by now, or the project is gone (the first write).
        ProjectFullError: There is no room for them in the project.
        TooLargeError: One of them is too large, or all are together.
    """
    counters: Counter[str] = Counter()
    for before, after in changes:
        counters[count_attribute(after.type)] += (not after.deleted) - (before is not None and not before.deleted)
    table.transact(changed(project_id, counters=counters), *(_put(project_id, *change) for change in changes))


def _put(project_id: ProjectId, before: Resource | None, after: Resource) -> TransactWriteItemTypeDef:
    item = resource_to_item(project_id, after)
    if before is None:
        return table.put(item, condition="attribute_not_exists(PK)")
    return table.put(
        item,
        condition="#version = :before",
        names={"#version": "version"},
        values={":before": text(before.version)},
    )


def page(
    project_id: ProjectId, *, type_: ResourceType | None, after: Resource | None, limit: int, descending: bool
) -> tuple[list[Resource], bool]:
    """A page of the timeline behind ``after``, and whether there is more.

    Only ``after``'s type, id and timestamp matter, so that one which has been deleted meanwhile still marks a place.
    """
    index, prefix = (keys.BY_TYPE_AND_TIME, keys.typed_resources(type_)) if type_ else (keys.BY_TIME, keys.RESOURCES)
    start: Item | None = None
    if after:
        item = resource_to_item(project_id, after)
        start = {name: item[name] for name in ("PK", "SK", index.sort_key)}
    found = table.page(
        keys.project_partition(project_id),
        begins_with=prefix,
        index=index,
        after=start,
        limit=limit,
        descending=descending,
    )
    return [resource_from_item(item) for item in found.items], found.more


def all_of(project_id: ProjectId) -> Iterator[Resource]:
    """All resources there are, oldest first."""
    rows = table.query_all(keys.project_partition(project_id), begins_with=keys.RESOURCES, index=keys.BY_TIME)
    return (resource_from_item(item) for item in rows)
