"""A typical handler of GET /api/projects/{project_id}: validating resolver, Tracer, pydantic and a boto3 resource."""

import os
from typing import Any
from uuid import UUID

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel

tracer = Tracer()
logger = Logger()
metrics = Metrics()
app = APIGatewayHttpResolver(enable_validation=True)
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


class Project(BaseModel):
    id: UUID
    name: str
    description: str
    owner_id: UUID


@app.get("/api/projects/<project_id>")
@tracer.capture_method
def get_project(project_id: UUID) -> Project:
    item = table.get_item(Key={"PK": f"PROJECT#{project_id}", "SK": "PROJECT"}, ConsistentRead=True).get("Item")
    if item is None:
        raise NotFoundError("Project not found")
    return Project.model_validate(item)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
