"""The operator function that registers a user.

Example event: ``{"email": "ada@example.com", "name": "Ada"}``
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import users
from projects_api.schemas.operator_schemas import NewUser, User

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the new user, or the existing one, unchanged, if the email is already registered."""
    request = NewUser.from_event(event)
    user = users.register(request.email, request.name)
    logger.info("User registered", extra={"user_id": user.id})
    return User.from_entity(user).model_dump(mode="json")
