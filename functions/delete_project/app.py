"""DELETE /api/projects/{project_id}: delete a project."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain import projects
from projects_api.schemas.ok_response import OkResponse

api = Api()


@api.delete(
    "/api/projects/<project_id>",
    summary="Delete a project",
    description="Deletes the project immediately for all members. Its files and records are purged in the background. "
    "Only the owner may do this.",
    tags=["Projects"],
    responses=response(200, "The project was deleted.") | PROJECT_ERRORS,
)
def delete_project(project_id: ProjectPath) -> OkResponse:
    projects.delete(api.caller.user_id, project_id)
    return OkResponse(ok=True)


handler = api.handler
