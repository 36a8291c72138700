"""The OpenAPI document: it is up to date, complete and valid."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from samcli.yamlhelper import yaml_parse

from local.openapi_document import OUTPUT_PATHS, build_document
from local.stack import ROOT
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.memory("compares the document with the handlers")

DOCUMENT = json.loads(OUTPUT_PATHS[0].read_text())
OPERATIONS = [
    (method, path, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]


@pytest.mark.parametrize("path", OUTPUT_PATHS, ids=lambda path: str(path.parent.name))
def test_document_is_up_to_date(app: InProcessApp, path: Path) -> None:
    assert path.read_text() == build_document(), "run `make openapi`"


def test_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_routes_equal_template() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    routes = {
        (event["Properties"]["Method"], event["Properties"]["Path"])
        for resource in template["Resources"].values()
        for event in (resource.get("Properties") or {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    assert {(method, path) for method, path, _ in OPERATIONS} == routes


def test_operations_are_described() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert sorted(names) == sorted(set(names))
    for _, _, operation in OPERATIONS:
        assert operation["operationId"].isidentifier()
        assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
        assert operation["summary"]
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter["description"], parameter


def test_only_documentation_is_public() -> None:
    public_paths = {path for _, path, operation in OPERATIONS if operation.get("security") == []}
    assert public_paths == {"/api/docs", "/api/openapi.json"}
    assert DOCUMENT["security"] == [{"ApiKey": []}]
    assert DOCUMENT["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    for _, path, operation in OPERATIONS:
        assert ({"401", "403"} <= set(operation["responses"])) == (path not in public_paths)


def find_examples(node: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield every example in a part of the document, with its schema."""
    if isinstance(node, dict):
        if isinstance(node.get("examples"), list):
            yield from ((node, value) for value in node["examples"])
        elif isinstance(node.get("examples"), dict):
            yield from ((node["schema"], example["value"]) for example in node["examples"].values())
        for value in node.values():
            yield from find_examples(value)
    elif isinstance(node, list):
        for value in node:
            yield from find_examples(value)


def test_examples_match_schemas() -> None:
    examples = list(find_examples(DOCUMENT))
    assert len(examples) > 30
    for schema, value in examples:
        Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(value)


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/docs"])
def test_compression_and_caching(app: InProcessApp, path: str) -> None:
    client = Client(app.send)
    plain = client.get(path)
    assert (plain.status, plain.headers["X-Content-Type-Options"]) == (200, "nosniff")
    assert "Content-Encoding" not in plain.headers
    compressed = client.get(path, Accept_Encoding="br, gzip")
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(compressed.body) == plain.body
    assert len(compressed.body) < len(plain.body) / 3
    cached = client.get(path, If_None_Match=plain.headers["ETag"])
    assert (cached.status, cached.body) == (304, b"")


def test_page_runs_own_scripts_only(app: InProcessApp) -> None:
    policy = Client(app.send).get("/api/docs").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; connect-src 'self'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
