"""The operator function that deactivates a user and revokes all their API keys.

Example event: ``{"email": "ada@example.com"}``
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import deactivation
from projects_api.schemas.operator_schemas import ApiKey, User, UserSelection

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the user, their keys, and the projects that they still own or are a member of."""
    result = deactivation.deactivate(UserSelection.from_event(event).email)
    logger.info("User deactivated", extra={"user_id": result.user.id, "keys": len(result.keys)})
    return User.from_entity(result.user).model_dump(mode="json") | {
        "keys": [ApiKey.from_entity(key).model_dump(mode="json") for key in result.keys],
        "owned_project_ids": result.owned_project_ids,
        "member_project_ids": result.member_project_ids,
    }
