"""GET /api/projects/{project_id}: get a project."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain import projects
from projects_api.schemas.project_schemas import Project, ProjectResponse

api = Api()


@api.get(
    "/api/projects/<project_id>",
    summary="Get a project",
    description="Returns the project and the role of the caller.",
    tags=["Projects"],
    responses=response(200, "The project.") | PROJECT_ERRORS,
)
def get_project(project_id: ProjectPath) -> ProjectResponse:
    return ProjectResponse(project=Project.from_membership(projects.get(api.caller.user_id, project_id)))


handler = api.handler
