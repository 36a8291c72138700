"""PUT /api/projects/{project_id}/resources/{resource_id}: replace a resource."""

from projects_api.api.openapi_responses import BODY_TOO_LARGE, PROJECT_ERRORS, conflict_response, response
from projects_api.api.parameters import IdempotencyKey, ProjectPath, ResourcePath
from projects_api.api.resolver import Api
from projects_api.domain import resources, uploads
from projects_api.entities.errors import TooManyUploadsError
from projects_api.schemas.resource_schemas import ChangedResourceResponse, Resource, ResourceUpdate
from projects_api.schemas.upload_schemas import Upload

api = Api()


@api.put(
    "/api/projects/<project_id>/resources/<resource_id>",
    summary="Replace a resource",
    description="Replaces the name and the fields. Without `file`, the resource keeps its file; with `null`, it has "
    "none. With another file, the response contains an upload, and the resource changes when the upload completes. "
    "The caller needs at least the role `editor`.",
    tags=["Resources"],
    responses=response(200, "The resource was replaced, or the upload of its file was started.")
    | PROJECT_ERRORS
    | BODY_TOO_LARGE
    | conflict_response(too_many_uploads=TooManyUploadsError(100)),
)
def update_resource(
    project_id: ProjectPath, resource_id: ResourcePath, body: ResourceUpdate, idempotency_key: IdempotencyKey = None
) -> ChangedResourceResponse:
    file = body.to_new_file()
    if file:
        page = uploads.start_for_existing_resource(
            api.caller.user_id,
            project_id,
            resource_id,
            type_=body.type,
            name=body.name,
            fields=body.fields,
            file=file,
            request=api.idempotent_request(idempotency_key, body, project_id=project_id),
        )
        return ChangedResourceResponse(resource=None, upload=Upload.from_page(page, api.base_url))
    resource = resources.update(
        api.caller.user_id,
        project_id,
        resource_id,
        type_=body.type,
        name=body.name,
        fields=body.fields,
        keep_file=body.keeps_file,
    )
    return ChangedResourceResponse(resource=Resource.from_entity(resource), upload=None)


handler = api.handler
