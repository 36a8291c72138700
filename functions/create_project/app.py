"""POST /api/projects: a new project, which the caller owns."""

from http import HTTPStatus
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response

from projects_api.api.openapi_responses import BODY_TOO_LARGE, ERRORS, location_header, response
from projects_api.api.parameters import IdempotencyKey
from projects_api.api.resolver import Api
from projects_api.domain import projects
from projects_api.entities.project import Membership, Role
from projects_api.schemas.project_schemas import CreatedProjectResponse, NewProject, Project

logger = Logger()
api = Api()


@api.post(
    "/api/projects",
    summary="Create a project",
    description="The caller owns it.",
    tags=["Projects"],
    responses=response(201, "It was created.", headers=location_header("Of the project.")) | ERRORS | BODY_TOO_LARGE,
)
def create_project(body: NewProject, idempotency_key: IdempotencyKey = None) -> Response[CreatedProjectResponse]:
    project = projects.create(
        api.caller, name=body.name, description=body.description or "", idempotency_key=idempotency_key
    )
    logger.append_keys(project_id=project.id)
    return Response(
        status_code=HTTPStatus.CREATED,
        content_type="application/json",
        headers={"Location": f"/api/projects/{project.id}"},
        body=CreatedProjectResponse(project_id=UUID(project.id), project=Project.of(Membership(project, Role.OWNER))),
    )


handler = api.handler
