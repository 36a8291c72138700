"""GET /api/projects/{project_id}/exports/{export_id}: one export, with a fresh URL when it is ready."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import ExportPath, ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain.exports import export_requests
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.schemas.export_schemas import Export, ExportResponse

api = Api()


@api.get(
    "/api/projects/<project_id>/exports/<export_id>",
    summary="Get an export",
    description="How far it is and, once it is ready, a URL of its archive, signed for this answer.",
    tags=["Exports"],
    responses=response(200, "The export.") | PROJECT_ERRORS,
)
def get_export(project_id: ProjectPath, export_id: ExportPath) -> ExportResponse:
    made = export_requests.get(api.caller.user_id, ProjectId(str(project_id)), ExportId(str(export_id)))
    return ExportResponse(export=Export.of(made))


handler = api.handler
