"""POST /api/projects/{project_id}/members: add a member, or change a member's role."""

from http import HTTPStatus

from projects_api.api.openapi_responses import BODY_TOO_LARGE, PROJECT_ERRORS, conflict_response, response
from projects_api.api.parameters import IdempotencyKey, ProjectPath
from projects_api.api.resolver import Api, Response
from projects_api.domain import members
from projects_api.entities.errors import OwnerRoleError
from projects_api.schemas.member_schemas import Member, MemberResponse, NewMember

api = Api()


@api.post(
    "/api/projects/<project_id>/members",
    summary="Add a member or change a role",
    description="Adds a registered user, or changes the role of a member. Only the owner may do this.",
    tags=["Members"],
    responses=response(201, "The member was added.")
    | response(200, "The role was changed.")
    | PROJECT_ERRORS
    | BODY_TOO_LARGE
    | conflict_response(owner=OwnerRoleError()),
)
def add_member(
    project_id: ProjectPath, body: NewMember, idempotency_key: IdempotencyKey = None
) -> Response[MemberResponse]:
    request = api.idempotent_request(idempotency_key, body, project_id=project_id)
    member, added = members.add(api.caller.user_id, project_id, email=body.email, role=body.role, request=request)
    return Response(
        status_code=HTTPStatus.CREATED if added else HTTPStatus.OK,
        content_type="application/json",
        body=MemberResponse(member=Member.from_entity(member)),
    )


handler = api.handler
