"""GET /api/docs: a page that shows the OpenAPI document. Its assets come with it."""

from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler.openapi import swagger_ui
from aws_lambda_powertools.utilities.typing import LambdaContext

ASSETS = Path(swagger_ui.__file__).parent


@cache
def page() -> str:
    """The page, which asks the API for the document."""
    style, script = ((ASSETS / name).read_text() for name in ("swagger-ui.min.css", "swagger-ui-bundle.min.js"))
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Projects API</title><style>{style}</style></head>
<body><div id="docs"></div>
<script>{script}</script>
<script>
SwaggerUIBundle({{url: "openapi.json", dom_id: "#docs", deepLinking: true, persistAuthorization: true}})
</script>
</body>
</html>
"""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers a request of an HTTP API in payload format 2.0."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "public, max-age=300"}
    return {"statusCode": 200, "headers": headers, "body": page()}
