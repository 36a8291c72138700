"""POST /api/projects: create a project."""

from http import HTTPStatus
from uuid import UUID

from aws_lambda_powertools import Logger

from projects_api.api.openapi_responses import BODY_TOO_LARGE, ERRORS, location_header, response
from projects_api.api.parameters import IdempotencyKey
from projects_api.api.resolver import Api, Response
from projects_api.domain import projects
from projects_api.entities.project import Membership, Role
from projects_api.schemas.project_schemas import CreatedProjectResponse, NewProject, Project

logger = Logger()
api = Api()


@api.post(
    "/api/projects",
    summary="Create a project",
    description="Creates a project. The caller becomes its owner.",
    tags=["Projects"],
    responses=response(201, "The project was created.", headers=location_header("The URL of the project."))
    | ERRORS
    | BODY_TOO_LARGE,
)
def create_project(body: NewProject, idempotency_key: IdempotencyKey = None) -> Response[CreatedProjectResponse]:
    request = api.idempotent_request(idempotency_key, body)
    project = projects.create(api.caller, name=body.name, description=body.description or "", request=request)
    logger.append_keys(project_id=project.id)
    membership = Membership(project, Role.OWNER)
    return Response(
        status_code=HTTPStatus.CREATED,
        content_type="application/json",
        headers={"Location": f"/api/projects/{project.id}"},
        body=CreatedProjectResponse(project_id=UUID(project.id), project=Project.from_membership(membership)),
    )


handler = api.handler
