"""GET /api/projects: list the caller's projects."""

from enum import StrEnum
from typing import Annotated

from projects_api.api.openapi_responses import ERRORS, response
from projects_api.api.parameters import Offset, Query
from projects_api.api.resolver import Api
from projects_api.domain import projects
from projects_api.domain.projects import SortField
from projects_api.schemas.project_schemas import Project, ProjectList

api = Api()


class SortDirection(StrEnum):
    DESC = "desc"
    ASC = "asc"


@api.get(
    "/api/projects",
    summary="List projects",
    description="Lists the projects that the caller owns or is a member of.",
    tags=["Projects"],
    responses=response(200, "A page of the projects, and their total number.") | ERRORS,
)
def list_projects(
    limit: Annotated[int, Query(ge=1, le=500, description="The maximum number of items to return.")] = 50,
    offset: Offset = 0,
    search: Annotated[
        str,
        Query(description="Return only projects with this text in their name or description. Case is ignored."),
    ] = "",
    sort_field: Annotated[
        SortField, Query(description="The field to sort by. Ties are sorted by id.")
    ] = SortField.CREATED_AT,
    sort_direction: Annotated[
        SortDirection, Query(description="`desc` lists the newest, the largest or the alphabetically last first.")
    ] = SortDirection.DESC,
) -> ProjectList:
    page = projects.list_page(
        api.caller.user_id,
        limit=limit,
        offset=offset,
        search=search,
        sort_field=sort_field,
        descending=sort_direction is SortDirection.DESC,
    )
    items = [Project.from_membership(membership) for membership in page.memberships]
    return ProjectList(items=items, total=page.total, limit=limit, offset=offset)


handler = api.handler
