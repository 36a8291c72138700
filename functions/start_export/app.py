"""POST /api/projects/{project_id}/exports: starts an export, or joins the one of the project as it is now."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response

from projects_api.api.openapi_responses import PROJECT_ERRORS, location_header, response
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain.exports import export_requests
from projects_api.entities.ids import ProjectId
from projects_api.schemas.export_schemas import Export, ExportResponse

api = Api()


@api.post(
    "/api/projects/<project_id>/exports",
    summary="Start an export",
    description="Or joins the last one, if that is of the project as it is now. Any member may.",
    tags=["Exports"],
    responses=response(202, "The export.", headers=location_header("Of the export.")) | PROJECT_ERRORS,
)
def start_export(project_id: ProjectPath) -> Response[ExportResponse]:
    started = export_requests.start(api.caller.user_id, ProjectId(str(project_id)))
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        content_type="application/json",
        headers={"Location": f"/api/projects/{project_id}/exports/{started.export.id}"},
        body=ExportResponse(export=Export.of(started)),
    )


handler = api.handler
