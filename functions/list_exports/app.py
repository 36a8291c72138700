"""GET /api/projects/{project_id}/exports: list the project's exports."""

from typing import Annotated

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import Cursor, ProjectPath, Query
from projects_api.api.resolver import Api
from projects_api.domain.exports import export_requests
from projects_api.schemas.export_schemas import Export, ExportList

api = Api()


@api.get(
    "/api/projects/<project_id>/exports",
    summary="List exports",
    description="Lists the exports of the project, the newest first.",
    tags=["Exports"],
    responses=response(200, "A page of the exports.") | PROJECT_ERRORS,
)
def list_exports(
    project_id: ProjectPath,
    limit: Annotated[int, Query(ge=1, le=100, description="The maximum number of items to return.")] = 50,
    cursor: Cursor = None,
) -> ExportList:
    page = export_requests.list_page(api.caller.user_id, project_id, cursor=cursor, limit=limit)
    return ExportList(
        items=[Export.from_project_export(project_export) for project_export in page.exports],
        next_cursor=page.next_cursor,
    )


handler = api.handler
