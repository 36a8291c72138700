"""GET /api/projects/{project_id}/export: download the archive of the project in its current state."""

import secrets
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from projects_api.api.content_negotiation import media_quality
from projects_api.api.openapi_responses import PROJECT_ERRORS, RETRY_AFTER, json_content, location_header, response
from projects_api.api.parameters import Header, ProjectPath
from projects_api.api.resolver import Api, Response
from projects_api.domain.exports import export_requests
from projects_api.domain.exports.export_requests import ProjectExport
from projects_api.entities.errors import ExportFailedError
from projects_api.entities.export import ExportStatus
from projects_api.schemas.export_schemas import Export, ExportResponse
from projects_api.storage.s3 import archive_store
from projects_api.storage.s3.signed_urls import content_disposition

#: The maximum size of an archive in the response body. A response is at most 6 MB, and base64 adds a third:
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_INLINE_BYTES = 4 << 20

#: The media types of an archive. The second one is for clients that know no ZIP files, such as generated ones.
FILE_TYPES = (archive_store.CONTENT_TYPE, "application/octet-stream")

#: The bodies of redirects, for clients that save them in place of the archive.
READY = "This is not the archive. Follow the redirect to download it: curl -L, or the URL in the Location header.\n"
NOT_READY = "The archive is not ready yet. Follow redirects until it is: curl -L, or request this URL again.\n"

api = Api()


@api.get(
    "/api/projects/<project_id>/export",
    summary="Download the archive",
    description="Returns the project in its current state as one ZIP file. A new archive is built if the project has "
    "changed since the last export.\n\n"
    "Scripts in a web page can't follow the redirect to a large archive. They send `Accept: application/json`, retry "
    "until the status is 200, and let the browser open the `download_url`, like `/api/docs`."
    "\n\nA client that prefers JSON to a file by the quality values in `Accept` gets the export instead of the "
    "archive. Generated clients that don't send `Accept` get the archive.",
    tags=["Exports"],
    responses=response(
        200,
        "The archive. With `Accept: application/json`, the export with the URL of the archive.",
        content={type_: {"schema": {"type": "string", "format": "binary"}} for type_ in FILE_TYPES}
        | json_content("ExportResponse"),
    )
    | response(
        202,
        "With `Accept: application/json`: the export, which is not ready yet.",
        headers=RETRY_AFTER | location_header("The URL of the export."),
        content=json_content("ExportResponse"),
    )
    | response(
        302,
        "A redirect to the archive, which is larger than 4 MiB. The body is a sentence that says so.",
        headers=location_header("The signed URL of the archive."),
        content={"text/plain": {"schema": {"type": "string"}}},
    )
    | response(
        307,
        "A redirect to this route, because the archive is not ready yet. The body is a sentence that says so.",
        headers=location_header("The URL of this route, with a different query each time."),
        content={"text/plain": {"schema": {"type": "string"}}},
    )
    | PROJECT_ERRORS
    | response(
        409,
        "The export of the current state has failed or was cancelled less than a minute ago. With `Accept: "
        "application/json`, the response contains the export.",
        content=json_content("FailedExport", cancelled={"detail": str(ExportFailedError(None))}),
    ),
)
def get_archive(  # type: ignore[no-untyped-def] # a declared type would be serialized as JSON
    project_id: ProjectPath,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
):
    requested = export_requests.request_archive(api.caller.user_id, project_id)
    if media_quality(accept, "application/json") > media_quality(accept, *FILE_TYPES):
        return _export_response(requested)
    file_type = max(FILE_TYPES, key=partial(media_quality, accept))  # the first one if the client has no preference
    return _archive_response(export_requests.wait(requested), file_type)


def _export_response(project_export: ProjectExport) -> Response[Any]:
    export = project_export.export
    body = ExportResponse(export=Export.from_project_export(project_export)).model_dump(mode="json")
    if export.status in {ExportStatus.FAILED, ExportStatus.CANCELLED}:
        failure = {"detail": str(ExportFailedError(export.error)), **body}
        return Response(HTTPStatus.CONFLICT, "application/json", failure)
    if project_export.download:
        return Response(HTTPStatus.OK, "application/json", body)
    export_path = f"/api/projects/{project_export.project.id}/exports/{project_export.export.id}"
    return Response(HTTPStatus.ACCEPTED, "application/json", body, {"Location": export_path, "Retry-After": "1"})


def _archive_response(project_export: ProjectExport, file_type: str) -> Response[Any]:
    export = project_export.export
    if export.status in {ExportStatus.FAILED, ExportStatus.CANCELLED}:
        raise ExportFailedError(export.error)
    if project_export.download is None:
        # some clients take two redirects to the same URL for a loop, so each has a new query, which has no meaning
        location = f"{api.current_event.path}?redirect={secrets.token_hex(4)}"
        return _redirect(HTTPStatus.TEMPORARY_REDIRECT, location, NOT_READY)
    if (export.size_bytes or 0) > MAX_INLINE_BYTES:
        return _redirect(HTTPStatus.FOUND, project_export.download.url, READY)
    return Response(
        HTTPStatus.OK,
        file_type,
        export_requests.read(project_export),
        {
            "Content-Disposition": content_disposition(project_export.file_name),
            "Cache-Control": "no-store",
        },
    )


def _redirect(status: HTTPStatus, location: str, body: str) -> Response[Any]:
    return Response(status, "text/plain; charset=utf-8", body, {"Location": location, "Cache-Control": "no-store"})


handler = api.handler
