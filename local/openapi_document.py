"""Writes the OpenAPI document from the handlers' own declarations: `make openapi`."""

import json
import tomllib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, License, Tag

from local.function_runner import load_app
from local.stack import ROOT
from projects_api.api.openapi_responses import BODY_TOO_LARGE, PROJECT_ERRORS, SCHEMAS

DESCRIPTION = """\
Projects of a machine-learning platform: their members, their timeline and their export.

Every request bears an API key, as an operator issued it: `Authorization: Bearer <api key>`.
Errors are JSON, and say what is wrong and what to do.
Unknown fields and query parameters are ignored.
"""
TAGS = [
    Tag(name="Projects", description="What a caller owns or was added to."),
    Tag(name="Members", description="Who is in a project, and what they may do."),
    Tag(name="Timeline", description="What a project holds, by time."),
    Tag(name="Exports", description="All of a project in one ZIP."),
    Tag(name="Documentation", description="This document, without a key."),
]
KEY = HTTPBearer(description="An API key, as an operator issued it: `prj_…`.", bearerFormat="prj_<id>_<secret>")

#: Where the document is read, and where the function that serves it finds it.
PLACES = (ROOT / "docs" / "openapi.json", ROOT / "functions" / "get_openapi" / "openapi.json")


def document() -> str:
    """The document of all functions, as JSON."""
    merged: dict[str, Any] = {}
    for path in sorted((ROOT / "functions").glob("*/app.py")):
        module = load_app(path.parent)
        if hasattr(module, "api"):
            _merge(merged, _declared(module.api, path.parent.name))
        elif hasattr(module, "OPENAPI_PATHS"):
            _merge(merged, {"paths": module.OPENAPI_PATHS})
    _merge(merged, {"components": {"schemas": SCHEMAS}})
    _forget_unused(merged)
    merged["paths"] = dict(sorted(merged["paths"].items()))
    for kind, components in merged["components"].items():
        merged["components"][kind] = dict(sorted(components.items()))
    return json.dumps(merged, indent=2) + "\n"


def _declared(api: Any, name: str) -> dict[str, Any]:
    """What one function declares; its operation is named as it is."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    declared: dict[str, Any] = json.loads(
        api.get_openapi_json_schema(
            title="Projects API",
            version=version,
            description=DESCRIPTION,
            license_info=License(name="Apache-2.0", identifier="Apache-2.0"),
            tags=TAGS,
            security_schemes={"ApiKey": KEY},
            security=[{"ApiKey": []}],
        ),
        parse_float=lambda text: int(float(text)) if float(text).is_integer() else float(text),  # 500, not 500.0
    )
    for path in declared["paths"].values():
        for operation in path.values():
            operation["operationId"] = name
            for parameter in operation.get("parameters", []):
                _as_sent(parameter)
            del operation["responses"]["500"]  # Powertools' own, and not as we give it
            _share_errors(operation["responses"], declared["components"].setdefault("responses", {}))
    return declared


def _share_errors(answers: dict[str, Any], shared: dict[str, Any]) -> None:
    """Puts what many operations answer into the document once."""
    for status in {str(int(status)) for status in PROJECT_ERRORS | BODY_TOO_LARGE} & set(answers):
        name = HTTPStatus(int(status)).phrase.title().replace(" ", "")
        shared[name], answers[status] = answers[status], {"$ref": f"#/components/responses/{name}"}
    in_order = sorted(answers.items())
    answers.clear()
    answers.update(in_order)


def _as_sent(parameter: dict[str, Any]) -> None:
    """Describes a parameter as it is on its way: never null, and a header with its capitals."""
    schema = parameter["schema"]
    schema.pop("description", None)
    kinds = [kind for kind in schema.pop("anyOf", []) if kind != {"type": "null"}]
    for kind in kinds:
        schema |= kind
    if parameter["in"] == "header":
        parameter["name"] = parameter["name"].title()


def _merge(into: dict[str, Any], part: dict[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict) and name in into:
            _merge(into[name], value)
        elif into.setdefault(name, value) != value:
            raise ValueError(f"Two functions declare {name} differently")


def _forget_unused(document: dict[str, Any]) -> None:
    """Removes the schemas that nothing refers to: Powertools adds some of its own."""
    schemas = document["components"]["schemas"]
    while unused := set(schemas) - {reference.rpartition("/")[2] for reference in _references(document)}:
        for name in unused:
            del schemas[name]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def main() -> None:
    for place in PLACES:
        place.write_text(document())


if __name__ == "__main__":
    main()
