"""GET /api/me: get the caller and their API key."""

from projects_api.api.openapi_responses import ERRORS, response
from projects_api.api.resolver import Api
from projects_api.schemas.user_schemas import MeResponse

api = Api()


@api.get(
    "/api/me",
    summary="Get the caller",
    description="Returns the user and the API key of the request.",
    tags=["Caller"],
    responses=response(200, "The user and the API key.") | ERRORS,
)
def get_me() -> MeResponse:
    caller = api.caller
    user = {"id": caller.user_id, "email": caller.email, "name": caller.name}
    return MeResponse.model_validate({"user": user, "key": api.key})


handler = api.handler
