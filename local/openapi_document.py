"""Generation of the OpenAPI document from the declarations of the handlers. `make openapi` runs it."""

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
The Projects API of a machine-learning platform: projects, their members, their timelines, and exports and imports as
ZIP archives.

Authenticate every request with an API key that an operator issued: `Authorization: Bearer <api key>`.
Errors are JSON documents that say what is wrong and what to do.
Unknown fields and query parameters are ignored.

[Guide]({Guide}) · [Source]({Source})
"""
TAGS = [
    Tag(name="Projects", description="The projects that the caller owns or is a member of."),
    Tag(name="Members", description="The members of a project and their roles."),
    Tag(name="Timeline", description="The resources of a project, by time."),
    Tag(name="Resources", description="The datasets, experiments, models, deployments and reports of a project."),
    Tag(name="Uploads", description="Files on their way to a resource, in parts that go to S3 directly."),
    Tag(name="Activity", description="The audit trail of a project."),
    Tag(name="Exports", description="Archives of a project as ZIP files."),
    Tag(name="Caller", description="The user and the API key of the request."),
    Tag(name="Imports", description="New projects from the archives of exports."),
    Tag(name="Documentation", description="This document. It requires no API key."),
]
KEY = HTTPBearer(description="An API key that an operator issued: `prj_…`.", bearerFormat="prj_<id>_<secret>")

#: The files that contain the document: one for readers, one for the function that serves it.
OUTPUT_PATHS = (ROOT / "docs" / "openapi.json", ROOT / "functions" / "get_openapi" / "openapi.json")


def build_document() -> str:
    """Return the document of all routes as JSON."""
    merged: dict[str, Any] = {}
    for path in sorted((ROOT / "functions").glob("*/app.py")):
        module = load_app(path.parent)
        if hasattr(module, "api"):
            _merge(merged, _declarations(module.api, path.parent.name))
        elif hasattr(module, "OPENAPI_PATHS"):
            _merge(merged, {"paths": module.OPENAPI_PATHS})
    _merge(merged, {"components": {"schemas": SCHEMAS}})
    _remove_unused_schemas(merged)
    merged["paths"] = dict(sorted(merged["paths"].items()))
    for kind, components in merged["components"].items():
        merged["components"][kind] = dict(sorted(components.items()))
    return json.dumps(merged, indent=2) + "\n"


def _declarations(api: Any, name: str) -> dict[str, Any]:
    """Return the document of one function. The name of the function becomes the operation id."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declarations: dict[str, Any] = json.loads(
        api.get_openapi_json_schema(
            title="Projects API",
            version=project["version"],
            description=DESCRIPTION.format_map(project["urls"]),
            license_info=License(name="Apache-2.0", identifier="Apache-2.0"),
            tags=TAGS,
            security_schemes={"ApiKey": KEY},
            security=[{"ApiKey": []}],
        ),
        parse_float=lambda text: int(float(text)) if float(text).is_integer() else float(text),  # 500, not 500.0
    )
    for path in declarations["paths"].values():
        for operation in path.values():
            if body := operation.get("requestBody"):
                _describe_optional_body(body)
            operation["operationId"] = name
            for parameter in operation.get("parameters", []):
                _describe_as_sent(parameter)
            for content in operation.get("requestBody", {}).get("content", {}).values():
                _drop_null(content["schema"])
            del operation["responses"]["500"]  # Powertools adds a 500 response that differs from ours
            _share_errors(operation["responses"], declarations["components"].setdefault("responses", {}))
    return declarations


def _describe_optional_body(body: dict[str, Any]) -> None:
    """Describe that null is the same as no body, where a body is optional."""
    if not body.get("required"):
        content = body["content"]["application/json"]
        content["schema"] = {"anyOf": [content["schema"], {"type": "null"}]}


def _share_errors(responses: dict[str, Any], shared: dict[str, Any]) -> None:
    """Move the error responses that operations have in common to ``shared``, and sort the responses by status."""
    for status in {str(int(status)) for status in PROJECT_ERRORS | BODY_TOO_LARGE} & set(responses):
        name = HTTPStatus(int(status)).phrase.title().replace(" ", "")
        shared[name], responses[status] = responses[status], {"$ref": f"#/components/responses/{name}"}
    in_order = sorted(responses.items())
    responses.clear()
    responses.update(in_order)


def _describe_as_sent(parameter: dict[str, Any]) -> None:
    """Describe a parameter as clients send it: never null, and a header name with capitals."""
    schema = parameter["schema"]
    schema.pop("description", None)
    _drop_null(schema)
    if parameter["in"] == "header":
        parameter["name"] = parameter["name"].title()


def _drop_null(schema: dict[str, Any]) -> None:
    """Remove null from the types of an optional value, which clients leave out instead."""
    for kind in schema.pop("anyOf", []):
        if kind != {"type": "null"}:
            schema |= kind


def _merge(into: dict[str, Any], part: dict[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, dict) and name in into:
            _merge(into[name], value)
        elif into.setdefault(name, value) != value:
            raise ValueError(f"Two functions declare {name} differently")


def _remove_unused_schemas(document: dict[str, Any]) -> None:
    """Remove the schemas without a reference. Powertools adds some of its own."""
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
    document = build_document()
    for path in OUTPUT_PATHS:
        path.write_text(document)


if __name__ == "__main__":
    main()
