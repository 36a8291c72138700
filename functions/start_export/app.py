"""POST /api/projects/{project_id}/exports: starts an export, or joins the one of the project as it is now."""

from http import HTTPStatus

from projects_api.domain import exports
from projects_api.http.api import ERRORS, Api, ProjectPath
from projects_api.http.models import Export, ExportAnswer
from projects_api.model.ids import ProjectId

api = Api()


@api.post(
    "/api/projects/<project_id>/exports",
    summary="Start an export",
    tags=["Export"],
    status_code=HTTPStatus.ACCEPTED,
    response_description="The export, new or of the project as it is already.",
    responses=ERRORS,
)
def start_export(project_id: ProjectPath) -> ExportAnswer:
    return ExportAnswer(export=Export.of(exports.start(api.caller.user_id, ProjectId(str(project_id)))))


handler = api.handler
