"""DELETE /api/projects/{project_id}: gone for everybody at once, and purged behind the answer."""

from projects_api.domain import projects
from projects_api.http.api import ERRORS, Api, ProjectPath
from projects_api.http.models import Done
from projects_api.model.ids import ProjectId

api = Api()


@api.delete("/api/projects/<project_id>", summary="Delete a project", tags=["Projects"], responses=ERRORS)
def delete_project(project_id: ProjectPath) -> Done:
    projects.delete(api.caller.user_id, ProjectId(str(project_id)))
    return Done()


handler = api.handler
