"""PUT /api/projects/{project_id}/owner: make another member the owner."""

from projects_api.api.openapi_responses import BODY_TOO_LARGE, PROJECT_ERRORS, conflict_response, response
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain import ownership
from projects_api.entities.errors import DeactivatedUserError
from projects_api.schemas.member_schemas import NewOwner
from projects_api.schemas.project_schemas import Project, ProjectResponse

api = Api()


@api.put(
    "/api/projects/<project_id>/owner",
    summary="Transfer the ownership",
    description="Makes the member with this email the owner, and the previous owner an admin. Only the owner may.",
    tags=["Members"],
    responses=response(200, "The project, with the role that the caller has from now on.")
    | PROJECT_ERRORS
    | BODY_TOO_LARGE
    | conflict_response(deactivated=DeactivatedUserError()),
)
def transfer_ownership(project_id: ProjectPath, body: NewOwner) -> ProjectResponse:
    membership = ownership.transfer(api.caller.user_id, project_id, email=body.email)
    return ProjectResponse(project=Project.from_membership(membership))


handler = api.handler
