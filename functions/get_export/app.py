"""GET /api/projects/{project_id}/exports/{export_id}: get an export."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import ExportPath, ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain.exports import export_requests
from projects_api.schemas.export_schemas import Export, ExportResponse

api = Api()


@api.get(
    "/api/projects/<project_id>/exports/<export_id>",
    summary="Get an export",
    description="Returns the status and progress of the export and, once it is ready, a temporary URL of the archive.",
    tags=["Exports"],
    responses=response(200, "The export.") | PROJECT_ERRORS,
)
def get_export(project_id: ProjectPath, export_id: ExportPath) -> ExportResponse:
    project_export = export_requests.get(api.caller.user_id, project_id, export_id)
    return ExportResponse(export=Export.from_project_export(project_export))


handler = api.handler
