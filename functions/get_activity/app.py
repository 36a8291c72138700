"""GET /api/projects/{project_id}/activity: read the project's audit trail."""

from typing import Annotated

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import Cursor, ProjectPath, Query
from projects_api.api.resolver import Api
from projects_api.domain import activity
from projects_api.entities.activity_entry import ActivityAction
from projects_api.schemas.activity_schemas import ActivityEntry, ActivityList

api = Api()


@api.get(
    "/api/projects/<project_id>/activity",
    summary="Read the activity",
    description="Lists who changed what and when, newest first. The caller needs at least the role `admin`.",
    tags=["Activity"],
    responses=response(
        200,
        "A page of the activity. With `action`, a page can have fewer items than `limit` although there are more: "
        "continue until `next_cursor` is null.",
    )
    | PROJECT_ERRORS,
)
def get_activity(
    project_id: ProjectPath,
    limit: Annotated[int, Query(ge=1, le=100, description="The maximum number of items to return.")] = 50,
    action: Annotated[ActivityAction | None, Query(description="Return only entries with this action.")] = None,
    cursor: Cursor = None,
) -> ActivityList:
    page = activity.list_page(api.caller.user_id, project_id, action=action, cursor=cursor, limit=limit)
    return ActivityList(
        items=[ActivityEntry.from_entity(entry) for entry in page.entries], next_cursor=page.next_cursor
    )


handler = api.handler
