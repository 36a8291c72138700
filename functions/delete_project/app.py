"""DELETE /api/projects/{project_id}: gone for everybody at once, and purged behind the answer."""

from projects_api.domain import projects
from projects_api.http.answers import PROJECT_ERRORS, answer
from projects_api.http.api import Api, ProjectPath
from projects_api.http.models.done import Done
from projects_api.model.ids import ProjectId

api = Api()


@api.delete(
    "/api/projects/<project_id>",
    summary="Delete a project",
    description="It is gone for everybody at once, and what it held is purged behind the answer. Only its owner may.",
    tags=["Projects"],
    responses=answer(200, "It is gone.") | PROJECT_ERRORS,
)
def delete_project(project_id: ProjectPath) -> Done:
    projects.delete(api.caller.user_id, ProjectId(str(project_id)))
    return Done(ok=True)


handler = api.handler
