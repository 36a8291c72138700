"""The lists of a project's resources by time: the timeline and the resources."""

from dataclasses import dataclass
from uuid import UUID

from projects_api.domain import projects
from projects_api.domain.cursors import decode_cursor, encode_cursor
from projects_api.entities.clock import parse_sortable, sortable
from projects_api.entities.ids import ProjectId, ResourceId, UserId
from projects_api.entities.resource import Resource, ResourceType
from projects_api.storage.dynamodb import (
    resource_store,
)


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """A page of a project's timeline.

    Attributes:
        resources: The resources on the page.
        next_cursor: The cursor of the next page, or None on the last page.
    """

    resources: list[Resource]
    next_cursor: str | None


def list_by_time(
    user_id: UserId,
    project_id: ProjectId,
    *,
    type_: ResourceType | None,
    cursor: str | None,
    limit: int,
    descending: bool,
    list_name: str,
) -> TimelinePage:
    """Return a page of the project's resources, sorted by time.

    Args:
        user_id: The caller.
        project_id: The project.
        type_: Return only resources of this type.
        cursor: The ``next_cursor`` of the page before, or None for the first page.
        limit: Maximum number of resources to return.
        descending: Whether to return the newest first.
        list_name: The name of the list, because a cursor belongs to one list.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        InvalidInputError: The cursor does not belong to this list.
    """
    scope = [list_name, project_id, type_, descending]
    after = decode_cursor(scope, cursor, _parse_position) if cursor else None
    projects.get(user_id, project_id)
    page, has_more = resource_store.list_page(project_id, type_=type_, after=after, limit=limit, descending=descending)
    if not has_more:
        return TimelinePage(page, None)
    last = page[-1]
    return TimelinePage(page, encode_cursor(scope, [sortable(last.timestamp), last.type, last.id]))


def _parse_position(timestamp: str, type_: str, resource_id: str) -> Resource:
    """Return a resource that has only the type, id and timestamp of a cursor."""
    return Resource(ResourceId(str(UUID(resource_id))), ResourceType(type_), "", parse_sortable(timestamp), "", {})
