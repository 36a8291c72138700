"""Resources in the table. They are also the entries of the timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from projects_api.entities.activity import ActivityEntry
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.project import Project
from projects_api.entities.resource import Resource, ResourceType
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.item_mapping import (
    count_attribute,
    project_from_item,
    resource_from_item,
    resource_to_item,
)
from projects_api.storage.dynamodb.keys import Item, text
from projects_api.storage.dynamodb.project_store import change_content

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

type ResourceKey = tuple[ResourceType, ResourceId]


#: Maximum number of resources to record in one transaction. A transaction may have 100 items and 4 MB
#: (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html). A resource takes up to 108 KB,
#: and its entry of the activity up to 10 KB.
RESOURCES_PER_TRANSACTION = 32


def get_many(
    project_id: ProjectId, resource_keys: Iterable[ResourceKey]
) -> tuple[Project | None, dict[ResourceKey, Resource]]:
    """Return the project and the resources with these keys, in one read.

    Returns:
        The project, also if it is deleted, or None if it does not exist. Then the resources, including deleted ones,
        without an entry for a missing resource.
    """
    project_key = keys.project(project_id)
    items = table.get_items([project_key, *(keys.resource(project_id, *key) for key in resource_keys)])
    project = items.pop((project_key["PK"]["S"], project_key["SK"]["S"]), None)
    resources = {resource.key: resource for resource in map(resource_from_item, items.values())}
    return project_from_item(project) if project else None, resources


def record(
    project: Project, changes: Sequence[tuple[Resource | None, Resource]], entries: Iterable[ActivityEntry]
) -> None:
    """Store changed resources and update the project's counts, in one transaction.

    Args:
        project: The project.
        changes: For each resource, its state when it was read, or None for a new one, and its new state. At most
            ``RESOURCES_PER_TRANSACTION``.
        entries: The entries of the activity, one for each change.

    Raises:
        ConditionFailedError: A resource has changed since it was read, or the project is deleted.
        ProjectFullError: The project's partition has reached its size limit.
        TooLargeError: A resource is too large, or all of them are together.
    """
    counters: Counter[str] = Counter()
    for before, after in changes:
        counters[count_attribute(after.type)] += (not after.deleted) - (before is not None and not before.deleted)
    puts = [_build_put(project.id, *change) for change in changes]
    change_content(project, *puts, entries=entries, counters=counters)


def _build_put(project_id: ProjectId, before: Resource | None, after: Resource) -> TransactWriteItemTypeDef:
    item = resource_to_item(project_id, after)
    if before is None:
        return table.build_put(item, condition="attribute_not_exists(PK)")
    return table.build_put(
        item,
        condition="#version = :before",
        names={"#version": "version"},
        values={":before": text(before.version)},
    )


def list_page(
    project_id: ProjectId, *, type_: ResourceType | None, after: Resource | None, limit: int, descending: bool
) -> tuple[list[Resource], bool]:
    """Return a page of the timeline.

    Args:
        project_id: The project.
        type_: Return only resources of this type.
        after: Start after this resource. Only its type, id and timestamp matter, and it may have been deleted.
        limit: Maximum number of resources to return.
        descending: Whether to return the newest first.

    Returns:
        The resources, and whether there are more.
    """
    index, prefix = (
        (keys.BY_TYPE_AND_TIME, keys.resource_type_prefix(type_)) if type_ else (keys.BY_TIME, keys.RESOURCES)
    )
    start: Item | None = None
    if after:
        item = resource_to_item(project_id, after)
        start = {name: item[name] for name in ("PK", "SK", index.sort_key)}
    page = table.query_page(
        keys.project_partition(project_id),
        begins_with=prefix,
        index=index,
        after=start,
        limit=limit,
        descending=descending,
    )
    return [resource_from_item(item) for item in page.items], page.has_more


def list_all(project_id: ProjectId) -> Iterator[Resource]:
    """Yield all resources of a project that are not deleted, oldest first."""
    items = table.query_all(keys.project_partition(project_id), begins_with=keys.RESOURCES, index=keys.BY_TIME)
    return (resource_from_item(item) for item in items)
