"""DELETE /api/projects/{project_id}: gone for everybody at once, and purged behind the answer."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain import projects
from projects_api.entities.ids import ProjectId
from projects_api.schemas.ok_response import OkResponse

api = Api()


@api.delete(
    "/api/projects/<project_id>",
    summary="Delete a project",
    description="It is gone for everybody at once, and what it held is purged behind the answer. Only its owner may.",
    tags=["Projects"],
    responses=response(200, "It is gone.") | PROJECT_ERRORS,
)
def delete_project(project_id: ProjectPath) -> OkResponse:
    projects.delete(api.caller.user_id, ProjectId(str(project_id)))
    return OkResponse(ok=True)


handler = api.handler
