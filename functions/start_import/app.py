"""POST /api/imports: import a project from an archive."""

from http import HTTPStatus

from aws_lambda_powertools import Logger

from projects_api.api.openapi_responses import (
    BODY_TOO_LARGE,
    PROJECT_ERRORS,
    conflict_response,
    location_header,
    response,
)
from projects_api.api.parameters import IdempotencyKey
from projects_api.api.resolver import Api, Response
from projects_api.domain.imports import import_requests
from projects_api.entities.errors import ExportNotReadyError, TooManyUploadsError
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.schemas.import_schemas import Import, NewImport, StartedImportResponse
from projects_api.schemas.upload_schemas import Upload

logger = Logger()
api = Api()


@api.post(
    "/api/imports",
    summary="Import a project",
    description="Imports an archive into a new project, which the caller owns. With `size_bytes`, the response has "
    "an upload, and completing it starts the import. With `project_id` and `export_id`, copies a ready export, which "
    "any member of its project may do. The project becomes visible when all of its files are verified.",
    tags=["Imports"],
    responses=response(201, "The upload of the archive was started.", headers=location_header("The URL of the import."))
    | response(202, "The copy was started.", headers=location_header("The URL of the import."))
    | PROJECT_ERRORS
    | BODY_TOO_LARGE
    | conflict_response(export=ExportNotReadyError("pending"), too_many_uploads=TooManyUploadsError(100)),
)
def start_import(body: NewImport, idempotency_key: IdempotencyKey = None) -> Response[StartedImportResponse]:
    request = api.idempotent_request(idempotency_key, body)
    upload = None
    if body.size_bytes is not None:
        import_, page = import_requests.start_upload(
            api.caller,
            size_bytes=body.size_bytes,
            part_size_bytes=body.part_size_bytes,
            name=body.name,
            members=body.members,
            request=request,
        )
        upload = Upload.from_page(page, api.base_url)
    else:
        import_ = import_requests.start_copy(
            api.caller,
            ProjectId(str(body.project_id)),
            ExportId(str(body.export_id)),
            name=body.name,
            members=body.members,
            request=request,
        )
    logger.append_keys(import_id=import_.id)
    return Response(
        status_code=HTTPStatus.CREATED if upload else HTTPStatus.ACCEPTED,
        content_type="application/json",
        headers={"Location": f"/api/imports/{import_.id}"},
        body=StartedImportResponse.model_validate({"import": Import.from_entity(import_), "upload": upload}),
    )


handler = api.handler
