"""DELETE /api/projects/{project_id}/exports/{export_id}: cancel an unfinished export."""

from aws_lambda_powertools import Logger

from projects_api.api.openapi_responses import PROJECT_ERRORS, conflict_response, response
from projects_api.api.parameters import ExportPath, ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain.exports import export_requests
from projects_api.entities.errors import ExportFinishedError
from projects_api.entities.export import ExportStatus
from projects_api.schemas.ok_response import OkResponse

logger = Logger()
api = Api()


@api.delete(
    "/api/projects/<project_id>/exports/<export_id>",
    summary="Cancel an export",
    description="Cancels an unfinished export for everybody who requested it. Requires the role `admin` or higher. "
    "Cancelling an export twice changes nothing.",
    tags=["Exports"],
    responses=response(200, "The export is cancelled.")
    | PROJECT_ERRORS
    | conflict_response(finished=ExportFinishedError(ExportStatus.READY)),
)
def cancel_export(project_id: ProjectPath, export_id: ExportPath) -> OkResponse:
    export_requests.cancel(api.caller.user_id, project_id, export_id)
    return OkResponse(ok=True)


handler = api.handler
