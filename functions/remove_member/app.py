"""DELETE /api/projects/{project_id}/members/{user_id}: removes a member, or lets the caller leave."""

from projects_api.domain import members
from projects_api.http.answers import PROJECT_ERRORS, answer, conflict
from projects_api.http.api import Api, ProjectPath, UserPath
from projects_api.http.models.done import Done
from projects_api.model.errors import OwnerStaysError
from projects_api.model.ids import ProjectId, UserId

api = Api()


@api.delete(
    "/api/projects/<project_id>/members/<user_id>",
    summary="Remove a member, or leave",
    description="The owner may remove others; everybody else may remove themselves.",
    tags=["Members"],
    responses=answer(200, "They are no member any more.") | PROJECT_ERRORS | conflict(owner=OwnerStaysError()),
)
def remove_member(project_id: ProjectPath, user_id: UserPath) -> Done:
    members.remove(api.caller.user_id, ProjectId(str(project_id)), UserId(str(user_id)))
    return Done(ok=True)


handler = api.handler
