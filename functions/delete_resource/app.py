"""DELETE /api/projects/{project_id}/resources/{resource_id}: delete a resource for good."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import ProjectPath, ResourcePath
from projects_api.api.resolver import Api
from projects_api.domain import resources
from projects_api.schemas.ok_response import OkResponse

api = Api()


@api.delete(
    "/api/projects/<project_id>/resources/<resource_id>",
    summary="Delete a resource",
    description="Deletes a resource for good: no later event restores it. A file that was uploaded here is deleted "
    "with the last resource that names it. The caller needs at least the role `editor`.",
    tags=["Resources"],
    responses=response(200, "The resource was deleted.") | PROJECT_ERRORS,
)
def delete_resource(project_id: ProjectPath, resource_id: ResourcePath) -> OkResponse:
    resources.delete(api.caller.user_id, project_id, resource_id)
    return OkResponse(ok=True)


handler = api.handler
