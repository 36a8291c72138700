"""POST /api/projects: a new project, which the caller owns."""

from http import HTTPStatus
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response

from projects_api.domain import projects
from projects_api.http.answers import ERRORS, TOO_LARGE, answer, location
from projects_api.http.api import Api, IdempotencyKey
from projects_api.http.models.projects import CreatedProject, NewProject, Project
from projects_api.model.entities import Membership, Role

logger = Logger()
api = Api()


@api.post(
    "/api/projects",
    summary="Create a project",
    description="The caller owns it.",
    tags=["Projects"],
    responses=answer(201, "It was created.", headers=location("Of the project.")) | ERRORS | TOO_LARGE,
)
def create_project(body: NewProject, idempotency_key: IdempotencyKey = None) -> Response[CreatedProject]:
    project = projects.create(
        api.caller, name=body.name, description=body.description or "", idempotency_key=idempotency_key
    )
    logger.append_keys(project_id=project.id)
    return Response(
        status_code=HTTPStatus.CREATED,
        content_type="application/json",
        headers={"Location": f"/api/projects/{project.id}"},
        body=CreatedProject(project_id=UUID(project.id), project=Project.of(Membership(project, Role.OWNER))),
    )


handler = api.handler
