"""The operator function that issues an API key.

Example event: ``{"email": "ada@example.com", "scopes": ["read", "write"]}``
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import users
from projects_api.schemas.operator_schemas import ApiKey, NewApiKey

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the key, with the secret text as ``api_key``. No other function returns this text."""
    request = NewApiKey.from_event(event)
    key, text = users.create_api_key(request.email, frozenset(request.scopes), request.expires_at)
    logger.info("API key issued", extra={"key_id": key.id, "user_id": key.user_id})
    return ApiKey.from_entity(key).model_dump(mode="json") | {"api_key": text}
