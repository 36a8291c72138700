"""GET /api/projects/{project_id}/timeline: the project's resources by time."""

from enum import StrEnum
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import Cursor, ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain import resources
from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import ResourceType
from projects_api.schemas.timeline_schemas import TimelineResponse, timeline_event

api = Api()


class Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


@api.get(
    "/api/projects/<project_id>/timeline",
    summary="Read the timeline",
    description="The project's resources by time: its datasets, experiments, models, deployments and reports.",
    tags=["Timeline"],
    responses=response(200, "A page of it.") | PROJECT_ERRORS,
)
def get_timeline(
    project_id: ProjectPath,
    limit: Annotated[int, Query(ge=1, le=1_000, description="The most to return.")] = 500,
    order: Annotated[Order, Query(description="asc is oldest first.")] = Order.ASC,
    type: Annotated[ResourceType | None, Query(description="Only events of this type.")] = None,  # noqa: A002 - the parameter's name
    cursor: Cursor = None,
) -> TimelineResponse:
    timeline = resources.timeline(
        api.caller.user_id,
        ProjectId(str(project_id)),
        type_=type,
        cursor=cursor,
        limit=limit,
        descending=order is Order.DESC,
    )
    events = [timeline_event(resource) for resource in timeline.resources]
    return TimelineResponse(project_id=project_id, events=events, next_cursor=timeline.next_cursor)


handler = api.handler
