"""PUT /api/projects/{project_id}: another name and description."""

from projects_api.domain import projects
from projects_api.http.api import ERRORS, Api, ProjectPath
from projects_api.http.models import Project, ProjectAnswer, ProjectUpdate
from projects_api.model.ids import ProjectId

api = Api()


@api.put("/api/projects/<project_id>", summary="Update a project", tags=["Projects"], responses=ERRORS)
def update_project(project_id: ProjectPath, body: ProjectUpdate) -> ProjectAnswer:
    membership = projects.update(
        api.caller.user_id, ProjectId(str(project_id)), name=body.name, description=body.description
    )
    return ProjectAnswer(project=Project.of(membership))


handler = api.handler
