"""GET /api/projects/{project_id}: a project, as one of its members sees it."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain import projects
from projects_api.entities.ids import ProjectId
from projects_api.schemas.project_schemas import Project, ProjectResponse

api = Api()


@api.get(
    "/api/projects/<project_id>",
    summary="Get a project",
    tags=["Projects"],
    responses=response(200, "The project.") | PROJECT_ERRORS,
)
def get_project(project_id: ProjectPath) -> ProjectResponse:
    return ProjectResponse(project=Project.of(projects.get(api.caller.user_id, ProjectId(str(project_id)))))


handler = api.handler
