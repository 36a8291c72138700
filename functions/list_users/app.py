"""The operator function that lists all users, in the order of registration.

Example event: ``{"limit": 100, "cursor": null}``
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import users
from projects_api.schemas.operator_schemas import User, UserListRequest

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return a page of the users, and the cursor of the next page, which is null on the last one."""
    request = UserListRequest.from_event(event)
    page = users.list_page(cursor=request.cursor, limit=request.limit)
    items = [User.from_entity(user).model_dump(mode="json") for user in page.users]
    return {"items": items, "next_cursor": page.next_cursor}
