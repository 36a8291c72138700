"""GET /api/projects/{project_id}/resources/{resource_id}: get a resource with a URL of its file."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import ProjectPath, ResourcePath
from projects_api.api.resolver import Api
from projects_api.domain import resources
from projects_api.schemas.resource_schemas import Resource, ResourceResponse

api = Api()


@api.get(
    "/api/projects/<project_id>/resources/<resource_id>",
    summary="Get a resource",
    description="Returns a resource with all of its fields, and a temporary URL of its file.",
    tags=["Resources"],
    responses=response(200, "The resource.") | PROJECT_ERRORS,
)
def get_resource(project_id: ProjectPath, resource_id: ResourcePath) -> ResourceResponse:
    readable = resources.get(api.caller.user_id, project_id, resource_id)
    return ResourceResponse(resource=Resource.from_entity(readable.resource, readable))


handler = api.handler
