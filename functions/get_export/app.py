"""GET /api/projects/{project_id}/exports/{export_id}: one export, with a fresh URL when it is ready."""

from projects_api.domain import exports
from projects_api.http.answers import PROJECT_ERRORS, answer
from projects_api.http.api import Api, ExportPath, ProjectPath
from projects_api.http.models.exports import Export, ExportAnswer
from projects_api.model.ids import ExportId, ProjectId

api = Api()


@api.get(
    "/api/projects/<project_id>/exports/<export_id>",
    summary="Get an export",
    description="How far it is and, once it is ready, a URL of its archive, signed for this answer.",
    tags=["Exports"],
    responses=answer(200, "The export.") | PROJECT_ERRORS,
)
def get_export(project_id: ProjectPath, export_id: ExportPath) -> ExportAnswer:
    made = exports.get(api.caller.user_id, ProjectId(str(project_id)), ExportId(str(export_id)))
    return ExportAnswer(export=Export.of(made))


handler = api.handler
