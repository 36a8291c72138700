"""PUT /api/projects/{project_id}: another name and description."""

from projects_api.domain import projects
from projects_api.http.answers import PROJECT_ERRORS, TOO_LARGE, answer
from projects_api.http.api import Api, ProjectPath
from projects_api.http.models.projects import Project, ProjectAnswer, ProjectUpdate
from projects_api.model.ids import ProjectId

api = Api()


@api.put(
    "/api/projects/<project_id>",
    summary="Rename or describe a project",
    description="Takes the role editor or a higher one.",
    tags=["Projects"],
    responses=answer(200, "The project as it is now.") | PROJECT_ERRORS | TOO_LARGE,
)
def update_project(project_id: ProjectPath, body: ProjectUpdate) -> ProjectAnswer:
    membership = projects.update(
        api.caller.user_id, ProjectId(str(project_id)), name=body.name, description=body.description
    )
    return ProjectAnswer(project=Project.of(membership))


handler = api.handler
