"""GET /api/docs: an HTML page that shows the OpenAPI document and sends requests. All assets are inline."""

import base64
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

from projects_api.api.static_pages import StaticPage

OPENAPI_PATHS = {
    "/api/docs": {
        "get": {
            "tags": ["Documentation"],
            "summary": "Show this document as a web page",
            "operationId": "get_docs",
            "security": [],
            "responses": {
                "200": {"description": "An HTML page.", "content": {"text/html": {"schema": {"type": "string"}}}}
            },
        }
    }
}

HERE = Path(__file__).parent


@cache
def page() -> StaticPage:
    """Build the page from the Swagger UI of Powertools. Its content security policy allows only its own scripts."""
    # locating Powertools without importing it keeps the cold start short
    spec = find_spec("aws_lambda_powertools")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("aws_lambda_powertools")
    swagger_ui = Path(spec.origin).parent / "event_handler" / "openapi" / "swagger_ui"
    parts = {
        "swagger_style": (swagger_ui / "swagger-ui.min.css").read_text(),
        "swagger_script": (swagger_ui / "swagger-ui-bundle.min.js").read_text(),
        "style": (HERE / "page.css").read_text(),
        "script": (HERE / "page.js").read_text(),
    }
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; script-src {_hash(parts['swagger_script'])} {_hash(parts['script'])}; "
        f"style-src {_hash(parts['swagger_style'])} {_hash(parts['style'])}"
    )
    return StaticPage(
        Template((HERE / "page.html").read_text()).substitute(parts),
        "text/html; charset=utf-8",
        Content_Security_Policy=policy,
        Referrer_Policy="no-referrer",
    )


def _hash(text: str) -> str:
    """Return the hash source of an inline text for a content security policy (CSP Level 3, section 2.3.1)."""
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Respond to an HTTP API event in payload format 2.0."""
    return page().respond(event)
