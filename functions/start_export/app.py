"""POST /api/projects/{project_id}/exports: start an export, or join the current one."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response

from projects_api.api.openapi_responses import PROJECT_ERRORS, location_header, response
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain.exports import export_requests
from projects_api.schemas.export_schemas import Export, ExportResponse

api = Api()


@api.post(
    "/api/projects/<project_id>/exports",
    summary="Start an export",
    description="Starts an export. If the last export still matches the project, returns that one instead. Any member "
    "may do this.",
    tags=["Exports"],
    responses=response(202, "The export.", headers=location_header("The URL of the export.")) | PROJECT_ERRORS,
)
def start_export(project_id: ProjectPath) -> Response[ExportResponse]:
    project_export = export_requests.start(api.caller.user_id, project_id)
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        content_type="application/json",
        headers={"Location": f"/api/projects/{project_id}/exports/{project_export.export.id}"},
        body=ExportResponse(export=Export.from_project_export(project_export)),
    )


handler = api.handler
