"""The operator function that revokes an API key.

Example event: ``{"key_id": "0123456789abcdef"}``
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import users
from projects_api.schemas.operator_schemas import ApiKey, ApiKeyToRevoke

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the key. The authorizer rejects it from the next request on."""
    key = users.revoke_api_key(ApiKeyToRevoke.from_event(event).key_id)
    logger.info("API key revoked", extra={"key_id": key.id, "user_id": key.user_id})
    return ApiKey.from_entity(key).model_dump(mode="json")
