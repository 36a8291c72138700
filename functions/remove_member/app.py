"""DELETE /api/projects/{project_id}/members/{user_id}: remove a member, or leave."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, conflict_response, response
from projects_api.api.parameters import ProjectPath, UserPath
from projects_api.api.resolver import Api
from projects_api.domain import members
from projects_api.entities.errors import OwnerCannotLeaveError
from projects_api.schemas.ok_response import OkResponse

api = Api()


@api.delete(
    "/api/projects/<project_id>/members/<user_id>",
    summary="Remove a member or leave",
    description="Removes a member. The owner may remove others; other members may only remove themselves.",
    tags=["Members"],
    responses=response(200, "The user is no longer a member.")
    | PROJECT_ERRORS
    | conflict_response(owner=OwnerCannotLeaveError()),
)
def remove_member(project_id: ProjectPath, user_id: UserPath) -> OkResponse:
    members.remove(api.caller.user_id, project_id, user_id)
    return OkResponse(ok=True)


handler = api.handler
