"""DELETE /api/projects/{project_id}/members/{user_id}: removes a member, or lets the caller leave."""

from projects_api.domain import members
from projects_api.http.api import CONFLICT, ERRORS, Api, ProjectPath, UserPath
from projects_api.http.models import Done
from projects_api.model.ids import ProjectId, UserId

api = Api()


@api.delete(
    "/api/projects/<project_id>/members/<user_id>",
    summary="Remove a member, or leave",
    tags=["Members"],
    responses=ERRORS | CONFLICT,
)
def remove_member(project_id: ProjectPath, user_id: UserPath) -> Done:
    members.remove(api.caller.user_id, ProjectId(str(project_id)), UserId(str(user_id)))
    return Done()


handler = api.handler
