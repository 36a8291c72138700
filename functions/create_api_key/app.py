"""Issues an API key. Only IAM can invoke it: ``{"email": "ada@example.com", "scopes": ["read", "write"]}``."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import users
from projects_api.schemas.operator_schemas import ApiKey, NewApiKey

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Responses with the key and, this once, its text as ``api_key``."""
    wanted = NewApiKey.of(event)
    key, text = users.create_api_key(wanted.email, frozenset(wanted.scopes), wanted.expires_at)
    logger.info("issued", extra={"key_id": key.id, "user_id": key.user_id})
    return ApiKey.of(key).model_dump(mode="json") | {"api_key": text}
