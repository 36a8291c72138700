"""The operator function that lists the API keys of a user, without their secrets.

Example event: ``{"email": "ada@example.com"}``
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import users
from projects_api.schemas.operator_schemas import ApiKey, UserSelection

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return all keys of the user, the oldest first, also those that are revoked or expired."""
    keys = users.list_api_keys(UserSelection.from_event(event).email)
    return {"items": [ApiKey.from_entity(key).model_dump(mode="json") for key in keys]}
