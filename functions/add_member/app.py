"""POST /api/projects/{project_id}/members: adds a member, or changes a member's role."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response

from projects_api.domain import members
from projects_api.http.answers import PROJECT_ERRORS, TOO_LARGE, answer, conflict
from projects_api.http.api import Api, ProjectPath
from projects_api.http.models.members import Member, MemberAnswer, NewMember
from projects_api.model.errors import OwnersRoleError
from projects_api.model.ids import ProjectId

api = Api()


@api.post(
    "/api/projects/<project_id>/members",
    summary="Add a member, or change a role",
    description="Only the owner may.",
    tags=["Members"],
    responses=answer(201, "The member was added.")
    | answer(200, "The role was changed.")
    | PROJECT_ERRORS
    | TOO_LARGE
    | conflict(owner=OwnersRoleError()),
)
def add_member(project_id: ProjectPath, body: NewMember) -> Response[MemberAnswer]:
    member, added = members.add(api.caller.user_id, ProjectId(str(project_id)), email=body.email, role=body.role)
    return Response(
        status_code=HTTPStatus.CREATED if added else HTTPStatus.OK,
        content_type="application/json",
        body=MemberAnswer(member=Member.of(member)),
    )


handler = api.handler
