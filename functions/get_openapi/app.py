"""GET /api/openapi.json: the OpenAPI document, written beside this file by `make openapi`."""

from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

DOCUMENT = Path(__file__).with_name("openapi.json").read_text()


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers a request of an HTTP API in payload format 2.0."""
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json", "Cache-Control": "public, max-age=300"},
        "body": DOCUMENT,
    }
