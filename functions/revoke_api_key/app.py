"""Revokes an API key. Only IAM can invoke it: ``{"key_id": "0123456789abcdef"}``."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import users
from projects_api.schemas.operator_schemas import ApiKey, ApiKeyToRevoke

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Responses with the key, which is refused from the next request on."""
    key = users.revoke_api_key(ApiKeyToRevoke.of(event).key_id)
    logger.info("revoked", extra={"key_id": key.id, "user_id": key.user_id})
    return ApiKey.of(key).model_dump(mode="json")
