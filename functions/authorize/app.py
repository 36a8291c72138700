"""The Lambda authorizer: accepts valid API keys and passes the user to the functions of the routes."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain import users
from projects_api.entities.clock import sortable
from projects_api.storage.deadline import deadline
from projects_api.telemetry import Metric

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return a simple response to an HTTP API authorizer event in payload format 2.0."""
    telemetry.append_request_keys(event)
    scheme, _, credentials = str((event.get("identitySource") or [""])[0]).partition(" ")
    with deadline.within(context.get_remaining_time_in_millis() / 1000):
        key = users.authenticate(credentials.strip() if scheme.lower() == "bearer" else "")
    if key is None:
        telemetry.count(Metric.KEYS_REJECTED)
        return {"isAuthorized": False}
    return {
        "isAuthorized": True,
        "context": {
            "user_id": key.user_id,
            "email": key.email,
            "name": key.name,
            "key_id": key.id,
            "scopes": " ".join(sorted(key.scopes)),
            "key_created_at": sortable(key.created_at),
            "key_expires_at": sortable(key.expires_at) if key.expires_at else "",
        },
    }
