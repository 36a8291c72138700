"""POST /api/projects/{project_id}/resources: add a resource, with or without a file."""

from http import HTTPStatus

from projects_api.api.openapi_responses import (
    BODY_TOO_LARGE,
    PROJECT_ERRORS,
    conflict_response,
    location_header,
    response,
)
from projects_api.api.parameters import IdempotencyKey, ProjectPath
from projects_api.api.resolver import Api, Response
from projects_api.domain import resource_fields, resources, uploads
from projects_api.entities.errors import TooManyUploadsError
from projects_api.schemas.resource_schemas import ChangedResourceResponse, NewResource, Resource
from projects_api.schemas.upload_schemas import Upload

api = Api()


@api.post(
    "/api/projects/<project_id>/resources",
    summary="Add a resource",
    description="Records a resource without a file immediately. With a `file`, the response contains an upload, and "
    "the resource is recorded when the upload completes. The caller needs at least the role `editor`.",
    tags=["Resources"],
    responses=response(
        201,
        "The resource was recorded, or the upload of its file was started.",
        headers=location_header("The URL of the resource."),
    )
    | PROJECT_ERRORS
    | BODY_TOO_LARGE
    | conflict_response(too_many_uploads=TooManyUploadsError(100)),
)
def create_resource(
    project_id: ProjectPath, body: NewResource, idempotency_key: IdempotencyKey = None
) -> Response[ChangedResourceResponse]:
    caller_id, file = api.caller.user_id, body.to_new_file()
    fields = resource_fields.validate_fields(body.type, body.fields)
    request = api.idempotent_request(idempotency_key, body, project_id=project_id)
    if file:
        page = uploads.start_for_new_resource(
            caller_id, project_id, type_=body.type, name=body.name, fields=fields, file=file, request=request
        )
        resource_id = page.upload.resource_id
        changed = ChangedResourceResponse(resource=None, upload=Upload.from_page(page, api.base_url))
    else:
        resource = resources.create(
            caller_id, project_id, type_=body.type, name=body.name, fields=fields, request=request
        )
        resource_id = resource.id
        changed = ChangedResourceResponse(resource=Resource.from_entity(resource), upload=None)
    return Response(
        status_code=HTTPStatus.CREATED,
        content_type="application/json",
        headers={"Location": f"/api/projects/{project_id}/resources/{resource_id}"},
        body=changed,
    )


handler = api.handler
