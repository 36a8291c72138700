"""POST /api/imports: import a project from an archive."""

from http import HTTPStatus

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response

from projects_api.api.openapi_responses import (
    BODY_TOO_LARGE,
    PROJECT_ERRORS,
    conflict_response,
    location_header,
    response,
)
from projects_api.api.parameters import IdempotencyKey
from projects_api.api.resolver import Api
from projects_api.domain.imports import import_requests
from projects_api.entities.errors import ExportNotReadyError
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.schemas.import_schemas import Import, NewImport, StartedImportResponse

logger = Logger()
api = Api()


@api.post(
    "/api/imports",
    summary="Import a project",
    description="Copies the archive of a ready export into a new project, which the caller owns. The project becomes "
    "visible when all of its files are verified. Any member of the exported project may do this.",
    tags=["Imports"],
    responses=response(202, "The import was started.", headers=location_header("The URL of the import."))
    | PROJECT_ERRORS
    | BODY_TOO_LARGE
    | conflict_response(export=ExportNotReadyError("pending")),
)
def start_import(body: NewImport, idempotency_key: IdempotencyKey = None) -> Response[StartedImportResponse]:
    import_ = import_requests.start_copy(
        api.caller,
        ProjectId(str(body.project_id)),
        ExportId(str(body.export_id)),
        name=body.name,
        members=body.members,
        request=api.idempotent_request(idempotency_key, body),
    )
    logger.append_keys(import_id=import_.id)
    return Response(
        status_code=HTTPStatus.ACCEPTED,
        content_type="application/json",
        headers={"Location": f"/api/imports/{import_.id}"},
        body=StartedImportResponse.model_validate({"import": Import.from_entity(import_)}),
    )


handler = api.handler
