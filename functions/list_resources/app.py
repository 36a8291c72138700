"""GET /api/projects/{project_id}/resources: list the project's resources."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import Cursor, Order, ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain import timeline
from projects_api.entities.resource import ResourceType
from projects_api.schemas.resource_schemas import Resource, ResourceList

api = Api()


@api.get(
    "/api/projects/<project_id>/resources",
    summary="List resources",
    description="Lists the resources of the project by time, with all of their fields.",
    tags=["Resources"],
    responses=response(200, "A page of the resources.") | PROJECT_ERRORS,
)
def list_resources(
    project_id: ProjectPath,
    limit: Annotated[int, Query(ge=1, le=1_000, description="The maximum number of items to return.")] = 500,
    order: Annotated[Order, Query(description="`asc` lists the oldest first, `desc` the newest.")] = Order.ASC,
    type: Annotated[ResourceType | None, Query(description="Return only resources of this type.")] = None,  # noqa: A002 - the name in the query
    cursor: Cursor = None,
) -> ResourceList:
    page = timeline.list_by_time(
        api.caller.user_id,
        project_id,
        type_=type,
        cursor=cursor,
        limit=limit,
        descending=order is Order.DESC,
        list_name="resources",
    )
    return ResourceList(items=[Resource.from_entity(item) for item in page.resources], next_cursor=page.next_cursor)


handler = api.handler
