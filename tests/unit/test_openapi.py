"""The OpenAPI document: it is the handlers' own, it is whole, and it holds what the specification asks."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from samcli.yamlhelper import yaml_parse

from local.openapi_document import PLACES, document
from local.stack import ROOT
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

DOCUMENT = json.loads(PLACES[0].read_text())
OPERATIONS = [
    (method, path, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: str(place.parent.name))
def test_the_document_is_not_stale(app: InProcessApp, place: Path) -> None:
    assert place.read_text() == document(), "run `make openapi`"


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_it_declares_every_route_of_the_template_and_no_other() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    routes = {
        (event["Properties"]["Method"], event["Properties"]["Path"])
        for resource in template["Resources"].values()
        for event in (resource.get("Properties") or {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    assert {(method, path) for method, path, _ in OPERATIONS} == routes


def test_every_operation_has_a_name_a_tag_and_words() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert sorted(names) == sorted(set(names))
    for _, _, operation in OPERATIONS:
        assert operation["operationId"].isidentifier()
        assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
        assert operation["summary"]
        for parameter in operation.get("parameters", []):
            assert parameter["in"] == "path" or parameter["description"], parameter


def test_only_the_documentation_comes_without_a_key() -> None:
    open_to_all = {path for _, path, operation in OPERATIONS if operation.get("security") == []}
    assert open_to_all == {"/api/docs", "/api/openapi.json"}
    assert DOCUMENT["security"] == [{"ApiKey": []}]
    assert DOCUMENT["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"
    for _, path, operation in OPERATIONS:
        assert ({"401", "403"} <= set(operation["responses"])) == (path not in open_to_all)


def examples(node: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Every example in a part of the document, with the schema that it is of."""
    if isinstance(node, dict):
        if isinstance(node.get("examples"), list):
            yield from ((node, value) for value in node["examples"])
        elif isinstance(node.get("examples"), dict):
            yield from ((node["schema"], example["value"]) for example in node["examples"].values())
        for value in node.values():
            yield from examples(value)
    elif isinstance(node, list):
        for value in node:
            yield from examples(value)


def test_every_example_is_what_its_schema_says() -> None:
    found = list(examples(DOCUMENT))
    assert len(found) > 30
    for schema, value in found:
        Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(value)


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/docs"])
def test_the_document_and_the_page_are_compressed_and_not_sent_twice(app: InProcessApp, path: str) -> None:
    nobody = Client(app.send)
    plain = nobody.get(path)
    assert (plain.status, plain.headers["X-Content-Type-Options"]) == (200, "nosniff")
    assert "Content-Encoding" not in plain.headers
    small = nobody.get(path, Accept_Encoding="br, gzip")
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) < len(plain.body) / 3
    again = nobody.get(path, If_None_Match=plain.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


def test_the_page_may_run_its_own_scripts_and_nothing_else(app: InProcessApp) -> None:
    policy = Client(app.send).get("/api/docs").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; connect-src 'self'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
