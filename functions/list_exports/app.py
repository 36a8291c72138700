"""GET /api/projects/{project_id}/exports: the project's exports, newest first."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from projects_api.domain import exports
from projects_api.http.answers import PROJECT_ERRORS, answer
from projects_api.http.api import Api, Cursor, ProjectPath
from projects_api.http.models.exports import Export, ExportList
from projects_api.model.ids import ProjectId

api = Api()


@api.get(
    "/api/projects/<project_id>/exports",
    summary="List exports",
    description="Newest first.",
    tags=["Exports"],
    responses=answer(200, "A page of them.") | PROJECT_ERRORS,
)
def list_exports(
    project_id: ProjectPath,
    limit: Annotated[int, Query(ge=1, le=100, description="The most to return.")] = 50,
    cursor: Cursor = None,
) -> ExportList:
    page = exports.list_page(api.caller.user_id, ProjectId(str(project_id)), cursor=cursor, limit=limit)
    return ExportList(items=[Export.of(export) for export in page.exports], next_cursor=page.next_cursor)


handler = api.handler
