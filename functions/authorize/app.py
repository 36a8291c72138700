"""The authorizer: lets in who bears a valid API key, and tells the functions who that is."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api import telemetry
from projects_api.domain import users
from projects_api.storage.deadline import deadline
from projects_api.telemetry import Metric

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes an HTTP API's authorizer request in format 2.0; answers with a simple response."""
    telemetry.identify(event)
    scheme, _, text = str((event.get("identitySource") or [""])[0]).partition(" ")
    with deadline.within(context.get_remaining_time_in_millis() / 1000):
        key = users.authenticate(text.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        logger.info("refused")
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
        },
    }
