"""The operator function that transfers a project to any active user.

Example event: ``{"project_id": "01930000-0000-7000-8000-0000000f4a0d", "email": "ada@example.com"}``
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from projects_api.domain import ownership
from projects_api.entities.ids import ProjectId
from projects_api.schemas.operator_schemas import ProjectTransfer, User

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the project and its owner. The previous owner becomes an admin, or is removed if they are deactivated."""
    request = ProjectTransfer.from_event(event)
    project, owner = ownership.transfer_by_operator(ProjectId(str(request.project_id)), email=request.email)
    logger.info("Project transferred", extra={"project_id": project.id, "user_id": owner.id})
    user = User.from_entity(owner).model_dump(mode="json", include={"user_id", "email", "name"})
    return {"project_id": project.id, "name": project.name, "owner": user}
