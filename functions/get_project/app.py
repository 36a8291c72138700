"""GET /api/projects/{project_id}: a project, as one of its members sees it."""

from projects_api.domain import projects
from projects_api.http.answers import PROJECT_ERRORS, answer
from projects_api.http.api import Api, ProjectPath
from projects_api.http.models.projects import Project, ProjectAnswer
from projects_api.model.ids import ProjectId

api = Api()


@api.get(
    "/api/projects/<project_id>",
    summary="Get a project",
    tags=["Projects"],
    responses=answer(200, "The project.") | PROJECT_ERRORS,
)
def get_project(project_id: ProjectPath) -> ProjectAnswer:
    return ProjectAnswer(project=Project.of(projects.get(api.caller.user_id, ProjectId(str(project_id)))))


handler = api.handler
