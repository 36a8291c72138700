"""POST /api/projects/{project_id}/exports: start an export, or join the current one."""

from http import HTTPStatus
from typing import Annotated

from projects_api.api.openapi_responses import BODY_TOO_LARGE, PROJECT_ERRORS, location_header, response
from projects_api.api.parameters import Body, IdempotencyKey, ProjectPath
from projects_api.api.resolver import Api, Response
from projects_api.domain.exports import export_requests
from projects_api.schemas.export_schemas import Export, ExportResponse, NewExport

api = Api()


@api.post(
    "/api/projects/<project_id>/exports",
    summary="Start an export",
    description="Starts an export. If the last export still matches the project, returns that one instead, unless it "
    "failed or was cancelled. Any member may do this.",
    tags=["Exports"],
    responses=response(202, "The export.", headers=location_header("The URL of the export."))
    | PROJECT_ERRORS
    | BODY_TOO_LARGE,
)
def start_export(
    project_id: ProjectPath,
    body: Annotated[NewExport | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[ExportResponse]:
    body = body or NewExport()
    project_export = export_requests.start(
        api.caller.user_id,
        project_id,
        fresh=body.fresh,
        request=api.idempotent_request(idempotency_key, body, project_id=project_id),
        may_read=api.may_read,
    )
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        content_type="application/json",
        headers={"Location": f"/api/projects/{project_id}/exports/{project_export.export.id}"},
        body=ExportResponse(export=Export.from_project_export(project_export)),
    )


handler = api.handler
