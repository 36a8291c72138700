"""POST /api/projects: a new project, which the caller owns."""

from http import HTTPStatus
from uuid import UUID

from aws_lambda_powertools import Logger

from projects_api.domain import projects
from projects_api.http.api import ERRORS, Api, IdempotencyKey
from projects_api.http.models import CreatedProject, NewProject, Project
from projects_api.model.entities import Membership, Role

logger = Logger()
api = Api()


@api.post(
    "/api/projects",
    summary="Create a project",
    tags=["Projects"],
    status_code=HTTPStatus.CREATED,
    response_description="It was created.",
    responses=ERRORS,
)
def create_project(body: NewProject, idempotency_key: IdempotencyKey = None) -> CreatedProject:
    project = projects.create(
        api.caller, name=body.name, description=body.description or "", idempotency_key=idempotency_key
    )
    logger.append_keys(project_id=project.id)
    return CreatedProject(project_id=UUID(project.id), project=Project.of(Membership(project, Role.OWNER)))


handler = api.handler
