"""GET /api/projects/{project_id}/export: the archive of the project as it is now."""

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
from projects_api.entities.ids import ProjectId
from projects_api.schemas.export_schemas import Export, ExportResponse
from projects_api.storage.s3 import archive_store

#: The largest archive that is answered itself: a function's answer is at most 6 MB, and base64 takes a third more.
INLINE_BYTES = 4 << 20

api = Api()


@api.get(
    "/api/projects/<project_id>/export",
    summary="Download the archive",
    description="The project as it is now, in one ZIP. It is made if it has changed since it was made last.\n\n"
    "A script in a web page can't follow the redirect to a larger archive: it asks for `application/json` until "
    "it is answered 200, and has the browser open the `download_url`. So does `/api/docs`, unless told otherwise.",
    tags=["Exports"],
    responses=response(
        200,
        "The archive; or the export, with the archive's URL, where application/json is asked for.",
        content=json_content("ExportResponse")
        | {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    )
    | response(
        202,
        "Where application/json is asked for: the export, which is not ready yet.",
        headers=RETRY_AFTER | location_header("Of the export."),
        content=json_content("ExportResponse"),
    )
    | response(
        302,
        "To the archive, where it is larger than 4 MiB.",
        headers=location_header("Of the archive, signed."),
        content={},
    )
    | response(
        307, "To this route again: the archive is not ready yet.", headers=location_header("Of this route."), content={}
    )
    | PROJECT_ERRORS
    | conflict_response(failed=ConflictError("The export failed. The artifact models/m.bin is missing.")),
)
def get_archive(  # type: ignore[no-untyped-def] # a declared answer would be turned into JSON, and an archive is none
    project_id: ProjectPath,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
):
    started = export_requests.start(api.caller.user_id, ProjectId(str(project_id)))
    if _asks_for_json(accept):
        return _described(started)
    return _downloaded(export_requests.wait(started))


def _asks_for_json(accept: str) -> bool:
    return any(part.partition(";")[0].strip().lower() == "application/json" for part in accept.split(","))


def _described(made: ProjectExport) -> Response[Any]:
    answer = ExportResponse(export=Export.of(made)).model_dump(mode="json")
    if made.download:
        return Response(HTTPStatus.OK, "application/json", answer)
    poll = f"/api/projects/{made.project.id}/exports/{made.export.id}"
    return Response(HTTPStatus.ACCEPTED, "application/json", answer, {"Location": poll, "Retry-After": "1"})


def _downloaded(made: ProjectExport) -> Response[Any]:
    export = made.export
    if export.status is ExportStatus.FAILED:
        raise ConflictError(f"The export failed. {export.error}")
    if made.download is None:
        return _redirected(HTTPStatus.TEMPORARY_REDIRECT, api.current_event.path)
    if (export.size_bytes or 0) > INLINE_BYTES:
        return _redirected(HTTPStatus.FOUND, made.download.url)
    return Response(
        HTTPStatus.OK,
        archive_store.CONTENT_TYPE,
        export_requests.read(made),
        {"Content-Disposition": archive_store.content_disposition(made.project.name), "Cache-Control": "no-store"},
    )


def _redirected(status: HTTPStatus, location: str) -> Response[Any]:
    return Response(status, headers={"Location": location, "Cache-Control": "no-store"})


handler = api.handler
