"""POST /api/projects/{project_id}/exports: starts an export, or joins the one of the project as it is now."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler import Response

from projects_api.domain import exports
from projects_api.http.answers import PROJECT_ERRORS, answer, location
from projects_api.http.api import Api, ProjectPath
from projects_api.http.models.exports import Export, ExportAnswer
from projects_api.model.ids import ProjectId

api = Api()


@api.post(
    "/api/projects/<project_id>/exports",
    summary="Start an export",
    description="Or joins the last one, if that is of the project as it is now. Any member may.",
    tags=["Exports"],
    responses=answer(202, "The export.", headers=location("Of the export.")) | PROJECT_ERRORS,
)
def start_export(project_id: ProjectPath) -> Response[ExportAnswer]:
    started = exports.start(api.caller.user_id, ProjectId(str(project_id)))
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        content_type="application/json",
        headers={"Location": f"/api/projects/{project_id}/exports/{started.export.id}"},
        body=ExportAnswer(export=Export.of(started)),
    )


handler = api.handler
