"""GET /api/openapi.json: the OpenAPI document, which `make openapi` writes to this folder."""

from pathlib import Path
from typing import Any

from projects_api.api.static_pages import StaticPage

OPENAPI_PATHS = {
    "/api/openapi.json": {
        "get": {
            "tags": ["Documentation"],
            "summary": "Get this document",
            "operationId": "get_openapi",
            "security": [],
            "responses": {
                "200": {
                    "description": "The OpenAPI document.",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                }
            },
        }
    }
}

document = StaticPage(Path(__file__).with_name("openapi.json").read_text(), "application/json")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Respond to an HTTP API event in payload format 2.0."""
    return document.respond(event)
