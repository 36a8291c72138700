"""GET /api/projects/{project_id}/resources: list the project's resources."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import Cursor, Order, ProjectPath, ResourceLimit, ResourceTypeFilter, TimeOrder
from projects_api.api.resolver import Api
from projects_api.domain import timeline
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
    limit: ResourceLimit = 500,
    order: TimeOrder = Order.ASC,
    type: ResourceTypeFilter = None,  # noqa: A002 - the name in the query
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
