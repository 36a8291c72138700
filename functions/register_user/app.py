"""Registers a user. Only IAM can invoke it: ``{"email": "ada@example.com", "name": "Ada"}``."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import users
from projects_api.schemas.operator_schemas import NewUser, User

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Responses with the user; one who is registered with the email already is answered as they are."""
    wanted = NewUser.of(event)
    user = users.register(wanted.email, wanted.name)
    logger.info("registered", extra={"user_id": user.id})
    return User.of(user).model_dump(mode="json")
