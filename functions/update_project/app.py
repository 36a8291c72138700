"""PUT /api/projects/{project_id}: another name and description."""

from projects_api.api.openapi_responses import BODY_TOO_LARGE, PROJECT_ERRORS, response
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain import projects
from projects_api.entities.ids import ProjectId
from projects_api.schemas.project_schemas import Project, ProjectResponse, ProjectUpdate

api = Api()


@api.put(
    "/api/projects/<project_id>",
    summary="Rename or describe a project",
    description="Takes the role editor or a higher one.",
    tags=["Projects"],
    responses=response(200, "The project as it is now.") | PROJECT_ERRORS | BODY_TOO_LARGE,
)
def update_project(project_id: ProjectPath, body: ProjectUpdate) -> ProjectResponse:
    membership = projects.update(
        api.caller.user_id, ProjectId(str(project_id)), name=body.name, description=body.description
    )
    return ProjectResponse(project=Project.of(membership))


handler = api.handler
