"""Writes the OpenAPI document from the handlers' own declarations: `make openapi`."""

import json
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer

from local.functions import load_handler
from local.stack import ROOT

VERSION = "1.0.0"
DESCRIPTION = """\
Projects of a machine-learning platform: their members, their timeline and their export.

Every request bears an API key: `Authorization: Bearer <api key>`.
Errors are JSON, and say what is wrong and what to do.
"""

#: Where the document is read, and where the function that serves it finds it.
PLACES = (ROOT / "docs" / "openapi.json", ROOT / "functions" / "get_openapi" / "openapi.json")


def document() -> str:
    """The document of all functions, as JSON."""
    merged: dict[str, Any] = {}
    for path in sorted((ROOT / "functions").glob("*/app.py")):
        if "api = Api()" in path.read_text():
            _merge(merged, _declared(path))
    return json.dumps(merged, indent=2) + "\n"


def _declared(path: Path) -> dict[str, Any]:
    module = load_handler(path.parent)
    declared: dict[str, Any] = json.loads(
        module.api.get_openapi_json_schema(
            title="Projects API",
            version=VERSION,
            description=DESCRIPTION,
            servers=None,
            security_schemes={"ApiKey": HTTPBearer(description="An API key, as an operator issued it.")},
            security=[{"ApiKey": []}],
        )
    )
    return declared


def _merge(into: dict[str, Any], part: dict[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict) and name in into:
            _merge(into[name], value)
        elif into.setdefault(name, value) != value:
            raise ValueError(f"Two functions declare {name} differently")


def main() -> None:
    for place in PLACES:
        place.write_text(document())


if __name__ == "__main__":
    main()
