"""GET /api/projects/{project_id}/timeline: list the project's resources by time."""

from uuid import UUID

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import Cursor, Order, ProjectPath, ResourceLimit, ResourceTypeFilter, TimeOrder
from projects_api.api.resolver import Api
from projects_api.domain import timeline
from projects_api.schemas.timeline_schemas import TimelineResponse, to_timeline_event

api = Api()


@api.get(
    "/api/projects/<project_id>/timeline",
    summary="Read the timeline",
    description="Lists the datasets, experiments, models, deployments and reports of the project by time.",
    tags=["Timeline"],
    responses=response(200, "A page of the timeline.") | PROJECT_ERRORS,
)
def get_timeline(
    project_id: ProjectPath,
    limit: ResourceLimit = 500,
    order: TimeOrder = Order.ASC,
    type: ResourceTypeFilter = None,  # noqa: A002 - the name in the query
    cursor: Cursor = None,
) -> TimelineResponse:
    page = timeline.list_by_time(
        api.caller.user_id,
        project_id,
        type_=type,
        cursor=cursor,
        limit=limit,
        descending=order is Order.DESC,
        list_name="timeline",
    )
    events = [to_timeline_event(resource) for resource in page.resources]
    return TimelineResponse(project_id=UUID(project_id), events=events, next_cursor=page.next_cursor)


handler = api.handler
