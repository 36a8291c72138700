"""GET /api/projects/{project_id}/export: download the archive of the project in its current state."""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header

from projects_api.api.openapi_responses import (
    PROJECT_ERRORS,
    RETRY_AFTER,
    conflict_response,
    json_content,
    location_header,
    response,
)
from projects_api.api.parameters import ProjectPath
from projects_api.api.resolver import Api
from projects_api.domain.exports import export_requests
from projects_api.domain.exports.export_requests import ProjectExport
from projects_api.entities.errors import ConflictError
from projects_api.entities.export import ExportStatus
from projects_api.schemas.export_schemas import Export, ExportResponse
from projects_api.storage.s3 import archive_store

#: The maximum size of an archive in the response body. A response is at most 6 MB, and base64 adds a third:
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_INLINE_BYTES = 4 << 20

api = Api()


@api.get(
    "/api/projects/<project_id>/export",
    summary="Download the archive",
    description="Returns the project in its current state as one ZIP file. A new archive is built if the project has "
    "changed since the last export.\n\n"
    "Scripts in a web page can't follow the redirect to a large archive. They send `Accept: application/json`, retry "
    "until the status is 200, and let the browser open the `download_url`. By default, `/api/docs` also requests JSON.",
    tags=["Exports"],
    responses=response(
        200,
        "The archive. With `Accept: application/json`, the export with the URL of the archive.",
        content=json_content("ExportResponse")
        | {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    )
    | response(
        202,
        "With `Accept: application/json`: the export, which is not ready yet.",
        headers=RETRY_AFTER | location_header("The URL of the export."),
        content=json_content("ExportResponse"),
    )
    | response(
        302,
        "A redirect to the archive, which is larger than 4 MiB.",
        headers=location_header("The signed URL of the archive."),
        content={},
    )
    | response(
        307,
        "A redirect to this route, because the archive is not ready yet.",
        headers=location_header("The URL of this route."),
        content={},
    )
    | PROJECT_ERRORS
    | conflict_response(failed=ConflictError("The export failed. The artifact models/m.bin is missing.")),
)
def get_archive(  # type: ignore[no-untyped-def] # a declared type would be serialized as JSON
    project_id: ProjectPath,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
):
    started = export_requests.start(api.caller.user_id, project_id)
    if _requests_json(accept):
        return _export_response(started)
    return _archive_response(export_requests.wait(started))


def _requests_json(accept: str) -> bool:
    return any(part.partition(";")[0].strip().lower() == "application/json" for part in accept.split(","))


def _export_response(project_export: ProjectExport) -> Response[Any]:
    body = ExportResponse(export=Export.from_project_export(project_export)).model_dump(mode="json")
    if project_export.download:
        return Response(HTTPStatus.OK, "application/json", body)
    export_path = f"/api/projects/{project_export.project.id}/exports/{project_export.export.id}"
    return Response(HTTPStatus.ACCEPTED, "application/json", body, {"Location": export_path, "Retry-After": "1"})


def _archive_response(project_export: ProjectExport) -> Response[Any]:
    export = project_export.export
    if export.status is ExportStatus.FAILED:
        raise ConflictError(f"The export failed. {export.error}")
    if project_export.download is None:
        return _redirect(HTTPStatus.TEMPORARY_REDIRECT, api.current_event.path)
    if (export.size_bytes or 0) > MAX_INLINE_BYTES:
        return _redirect(HTTPStatus.FOUND, project_export.download.url)
    return Response(
        HTTPStatus.OK,
        archive_store.CONTENT_TYPE,
        export_requests.read(project_export),
        {
            "Content-Disposition": archive_store.content_disposition(project_export.project.name),
            "Cache-Control": "no-store",
        },
    )


def _redirect(status: HTTPStatus, location: str) -> Response[Any]:
    return Response(status, headers={"Location": location, "Cache-Control": "no-store"})


handler = api.handler
