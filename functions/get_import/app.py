"""GET /api/imports/{import_id}: get an import."""

from projects_api.api.openapi_responses import PROJECT_ERRORS, response
from projects_api.api.parameters import ImportPath
from projects_api.api.resolver import Api
from projects_api.domain.imports import import_requests
from projects_api.schemas.import_schemas import Import, ImportResponse

api = Api()


@api.get(
    "/api/imports/<import_id>",
    summary="Get an import",
    description="Returns the status and progress of an import that the caller started and, once it is ready, the id of "
    "the new project. A failed import lists what is wrong.",
    tags=["Imports"],
    responses=response(200, "The import.") | PROJECT_ERRORS,
)
def get_import(import_id: ImportPath) -> ImportResponse:
    import_ = import_requests.get(api.caller.user_id, import_id)
    return ImportResponse.model_validate({"import": Import.from_entity(import_)})


handler = api.handler
