"""POST /api/uploads/{upload_id}/parts: list the parts of an upload, with fresh URLs."""

from projects_api.api.openapi_responses import BODY_TOO_LARGE, PROJECT_ERRORS, response
from projects_api.api.parameters import UploadPath
from projects_api.api.resolver import Api
from projects_api.domain import uploads
from projects_api.schemas.upload_schemas import PartList, PartRange, PartState

api = Api()


@api.post(
    "/api/uploads/<upload_id>/parts",
    summary="List the parts of an upload",
    description="Returns up to 1,000 parts after the number `after`, and a fresh URL for each that is missing. "
    "An upload belongs to the user who started it.",
    tags=["Uploads"],
    responses=response(200, "A page of the parts.") | PROJECT_ERRORS | BODY_TOO_LARGE,
)
def list_parts(upload_id: UploadPath, body: PartRange) -> PartList:
    page = uploads.list_parts(api.caller.user_id, upload_id, after=body.after)
    parts = [PartState(number=part.number, uploaded=part.uploaded, url=part.url) for part in page.parts]
    return PartList(parts=parts, urls_expire_at=page.urls_expire_at, next_after=page.next_after)


handler = api.handler
