"""Activity: read the audit trail of a project."""

from dataclasses import dataclass
from datetime import datetime

from projects_api.domain import projects
from projects_api.domain.cursors import decode_cursor, encode_cursor
from projects_api.domain.permissions import Action
from projects_api.entities.activity_entry import ActivityAction, ActivityEntry
from projects_api.entities.clock import parse_sortable, sortable
from projects_api.entities.ids import ProjectId, UserId
from projects_api.storage.dynamodb import activity_store


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """A page of entries, and the cursor of the next page if there is one."""

    entries: list[ActivityEntry]
    next_cursor: str | None


def list_page(
    user_id: UserId, project_id: ProjectId, *, action: ActivityAction | None, cursor: str | None, limit: int
) -> ActivityPage:
    """Return a page of the project's activity, newest first.

    Args:
        user_id: The caller.
        project_id: The project.
        action: Return only entries with this action.
        cursor: The ``next_cursor`` of the previous page, or None for the first page.
        limit: Maximum number of entries to return. With ``action``, a page can have fewer although there are more.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
        InvalidInputError: The cursor does not belong to this list.
    """
    scope = ["activity", project_id, action]
    after = decode_cursor(scope, cursor, _parse_position) if cursor else None
    project = projects.get(user_id, project_id, Action.READ_ACTIVITY).project
    entries, position = activity_store.list_page(project, action=action, after=after, limit=limit)
    return ActivityPage(entries, encode_cursor(scope, [sortable(position[0]), position[1]]) if position else None)


def _parse_position(at: str, entry_id: str) -> tuple[datetime, str]:
    return parse_sortable(at), entry_id
