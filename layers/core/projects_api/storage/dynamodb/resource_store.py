"""Resources in the table. They are also the entries of the timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from projects_api.entities.activity_entry import ActivityEntry
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, ResourceId, UserId
from projects_api.entities.project import Membership, Project
from projects_api.entities.resource import Resource, ResourceType, UploadedFile
from projects_api.storage.dynamodb import keys, project_store, table
from projects_api.storage.dynamodb.item_mapping import (
    count_attribute,
    project_from_item,
    resource_from_item,
    resource_to_item,
    uploaded_file_from_item,
)
from projects_api.storage.dynamodb.keys import Item, text
from projects_api.storage.dynamodb.project_store import change_content

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

type ResourceKey = tuple[ResourceType, ResourceId]


#: Maximum number of resources to record in one transaction. A transaction may have 100 items and 4 MB
#: (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html). A resource takes up to 108 KB,
#: its entry of the activity up to 10 KB, and its change can change how many resources name two uploaded files.
RESOURCES_PER_TRANSACTION = 24


def get_many(
    project_id: ProjectId, resource_keys: Iterable[ResourceKey], artifact_keys: Iterable[str]
) -> tuple[Project | None, dict[ResourceKey, Resource], dict[str, UploadedFile]]:
    """Return the project, resources, and uploaded files by the key of their object, in one read.

    Returns:
        The project, also if it is deleted, or None if it does not exist. Then the resources, including deleted ones,
        and the files, without an entry for what does not exist.
    """
    project_key = keys.project(project_id)
    resource_item_keys = [keys.resource(project_id, *key) for key in resource_keys]
    file_item_keys = [keys.uploaded_file(project_id, key) for key in artifact_keys]
    items = table.get_items([project_key, *resource_item_keys, *file_item_keys])
    project = items.pop(keys.identity(project_key), None)
    resources = [resource_from_item(item) for (_, sk), item in items.items() if sk.startswith(keys.RESOURCES)]
    files = [uploaded_file_from_item(item) for (_, sk), item in items.items() if sk.startswith(keys.FILES)]
    return (
        project_from_item(project) if project else None,
        {resource.key: resource for resource in resources},
        {file.key: file for file in files},
    )


def get_files(project_id: ProjectId, artifact_keys: Iterable[str]) -> dict[str, UploadedFile]:
    """Return the uploaded files among artifacts, by the key of their object."""
    item_keys = [keys.uploaded_file(project_id, key) for key in artifact_keys]
    files = map(uploaded_file_from_item, table.get_items(item_keys).values()) if item_keys else ()
    return {file.key: file for file in files}


def get_with_membership(
    project_id: ProjectId, user_id: UserId, resource_id: ResourceId
) -> tuple[Membership | None, list[Resource]]:
    """Return the user's membership of the project and the resources with this id, in one read.

    The resources are in the order of the types, and include deleted ones.
    """
    item_keys = [keys.resource(project_id, type_, resource_id) for type_ in ResourceType]
    membership, items = project_store.get_membership(project_id, user_id, *item_keys)
    return membership, [resource_from_item(item) for item in items if item]


def record(
    project: Project,
    changes: Sequence[tuple[Resource | None, Resource]],
    entries: Iterable[ActivityEntry],
    *writes: TransactWriteItemTypeDef,
    request: IdempotentRequest | None = None,
    result: dict[str, Any] | None = None,
) -> None:
    """Store changed resources and update the project's counts, in one transaction.

    Args:
        project: The project.
        changes: For each resource, its state when it was read, or None for a new one, and its new state. At most
            ``RESOURCES_PER_TRANSACTION``.
        entries: The entries of the activity, one for each change.
        *writes: Other writes of the same transaction.
        request: The request, if it has an Idempotency-Key.
        result: The result of the request.

    Raises:
        RepeatedRequestError: An earlier request with the same Idempotency-Key took effect.
        ConditionFailedError: A resource has changed since it was read, the project is deleted, or the condition of
            another write did not hold.
        ProjectFullError: The project's partition has reached its size limit.
        TooLargeError: A resource is too large, or all of them are together.
    """
    counters: Counter[str] = Counter()
    for before, after in changes:
        counters[count_attribute(after.type)] += (not after.deleted) - (before is not None and not before.deleted)
    puts = [_build_put(project.id, *change) for change in changes]
    change_content(project, *puts, *writes, entries=entries, counters=counters, request=request, result=result)


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
