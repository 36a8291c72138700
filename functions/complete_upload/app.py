"""POST /api/uploads/{upload_id}/complete: assemble the parts of an upload and record its resource."""

from http import HTTPStatus
from typing import Any

from projects_api.api.openapi_responses import (
    PROJECT_ERRORS,
    RETRY_AFTER,
    conflict_response,
    json_content,
    location_header,
    response,
)
from projects_api.api.parameters import UploadPath
from projects_api.api.resolver import Api, Response
from projects_api.domain import upload_completion
from projects_api.entities import project_import
from projects_api.entities.errors import UploadBusyError, UploadIncompleteError
from projects_api.schemas.resource_schemas import Resource, ResourceResponse

api = Api()

#: The number of seconds after which a client repeats the request.
RETRY_DELAY = 2

IMPORT_SCHEMA = {"$ref": "#/components/schemas/ImportResponse"}
EMPTY_SCHEMA = {"type": "object", "maxProperties": 0}


@api.post(
    "/api/uploads/<upload_id>/complete",
    summary="Complete an upload",
    description="Checks that all parts are uploaded with the right sizes, assembles them, and records the resource or "
    "starts the import. A repeat returns the same result. If the project is deleted or the role of the user is too low "
    "by now, the upload is aborted.",
    tags=["Uploads"],
    responses=response(
        201,
        "The resource was recorded.",
        headers=location_header("The URL of the resource."),
        content=json_content("ResourceResponse"),
    )
    | response(
        202,
        "The import of the archive was started. Or, with `Retry-After`, the parts are still being assembled: repeat "
        "the request.",
        headers={
            name: declared | {"required": False}
            for name, declared in (RETRY_AFTER | location_header("The URL of the import.")).items()
        },
        content={"application/json": {"schema": {"anyOf": [IMPORT_SCHEMA, EMPTY_SCHEMA]}}},
    )
    | PROJECT_ERRORS
    | conflict_response(
        incomplete=UploadIncompleteError("2 of 80 parts are missing or do not have the right size: 17, 80."),
        busy=UploadBusyError(),
    ),
)
def complete_upload(upload_id: UploadPath):  # type: ignore[no-untyped-def]  # noqa: ANN201 - a declared type would be serialized as JSON
    completion = upload_completion.complete(api.caller.user_id, upload_id)
    outcome = completion.outcome
    if outcome is None:
        return Response(HTTPStatus.ACCEPTED, "application/json", {}, {"Retry-After": str(RETRY_DELAY)})
    if isinstance(outcome, project_import.Import):
        from projects_api.schemas.import_schemas import Import, ImportResponse  # noqa: PLC0415 - most uploads are files

        started = ImportResponse.model_validate({"import": Import.from_entity(outcome)})
        content = started.model_dump(mode="json", by_alias=True)
        return Response(HTTPStatus.ACCEPTED, "application/json", content, {"Location": f"/api/imports/{outcome.id}"})
    path = f"/api/projects/{completion.upload.project_id}/resources/{outcome.id}"
    body: dict[str, Any] = ResourceResponse(resource=Resource.from_entity(outcome)).model_dump(mode="json")
    return Response(HTTPStatus.CREATED, "application/json", body, {"Location": path})


handler = api.handler
