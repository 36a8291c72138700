"""GET /api/projects/{project_id}/members: list the members of a project."""

from typing import Annotated
from uuid import UUID

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import Offset, ProjectPath, Query
from projects_api.api.resolver import Api
from projects_api.domain import members
from projects_api.schemas.member_schemas import Member, MemberList

api = Api()


@api.get(
    "/api/projects/<project_id>/members",
    summary="List members",
    description="Lists the members of the project: the owner first, then the others in the order in which they joined.",
    tags=["Members"],
    responses=response(200, "A page of the members, and their total number.") | PROJECT_ERRORS,
)
def list_members(
    project_id: ProjectPath,
    limit: Annotated[int, Query(ge=1, le=100, description="The maximum number of items to return.")] = 50,
    offset: Offset = 0,
) -> MemberList:
    caller_id = api.caller.user_id
    page = members.list_page(caller_id, project_id, limit=limit, offset=offset)
    items = [Member.from_entity(member) for member in page.members]
    return MemberList(items=items, total=page.total, limit=limit, offset=offset, caller_id=UUID(caller_id))


handler = api.handler
