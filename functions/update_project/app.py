"""PUT /api/projects/{project_id}: rename or describe a project."""

from projects_api.api.openapi_responses import BODY_TOO_LARGE, PROJECT_ERRORS, response
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain import projects
from projects_api.schemas.project_schemas import Project, ProjectResponse, ProjectUpdate

api = Api()


@api.put(
    "/api/projects/<project_id>",
    summary="Rename or describe a project",
    description="Changes the name and description. The caller needs at least the role `editor`.",
    tags=["Projects"],
    responses=response(200, "The updated project.") | PROJECT_ERRORS | BODY_TOO_LARGE,
)
def update_project(project_id: ProjectPath, body: ProjectUpdate) -> ProjectResponse:
    membership = projects.update(api.caller.user_id, project_id, name=body.name, description=body.description)
    return ProjectResponse(project=Project.from_membership(membership))


handler = api.handler
