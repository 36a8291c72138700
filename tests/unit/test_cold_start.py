"""The start of a function: what the layer leaves out, and what the package postpones."""

import ast
import gc
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import httpsession, xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

import split_certificates
import trim
from local.stack import ROOT

LAYER = ROOT / "layers" / "core"
STORAGE = LAYER / "projects_api" / "storage"
MODELS: dict[str, dict[str, Any]] = {
    service: Loader().load_service_model(service, "service-2") for service in trim.OPERATIONS
}

#: What a process runs to report how a function has started, and whether everything works afterwards.
START_PROGRAM = """
import app, asyncio, gc, json, sys
report = {
    "asyncio": "asyncio.events" in sys.modules,
    "collections": sum(generation["collections"] for generation in gc.get_stats()[1:]),
}
gc.collect()
report |= {"threshold": gc.get_threshold(), "sleep": asyncio.run(asyncio.sleep(0, "slept"))}
print(json.dumps(report))
"""


@pytest.mark.parametrize("service", MODELS)
def test_layer_has_the_operations_that_the_code_calls(service: str) -> None:
    names = {name for path in STORAGE.rglob("*.py") for name in _find_names(path)}
    called = {operation for operation in MODELS[service]["operations"] if xform_name(operation) in names}
    assert called == set(trim.OPERATIONS[service])


def _find_names(path: Path) -> Iterator[str]:
    """Yield all attributes and texts of a module. All operations of clients are among them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("service", MODELS)
def test_selected_operations_are_complete(service: str) -> None:
    """A shape that a selected operation needs is the same as in botocore's model, and the others are left out."""
    complete = MODELS[service]
    trimmed = trim.select_operations(complete, trim.OPERATIONS[service])
    model = ServiceModel(trimmed, service)
    assert set(model.operation_names) == set(trim.OPERATIONS[service])
    needed: set[str] = set()
    for name in model.operation_names:
        operation = model.operation_model(name)
        for shape in (operation.input_shape, operation.output_shape, *operation.error_shapes):
            _add_shapes(shape, needed)
    assert {name: complete["shapes"][name] for name in needed} == trimmed["shapes"]
    assert len(needed) < len(complete["shapes"])


def _add_shapes(shape: Any, names: set[str]) -> None:
    if shape is not None and shape.name not in names:
        names.add(shape.name)
        for attribute in ("member", "key", "value"):
            _add_shapes(getattr(shape, attribute, None), names)
        for member in getattr(shape, "members", {}).values():
            _add_shapes(member, names)


def test_authorities_are_named_as_by_openssl(tmp_path: Path) -> None:
    """Each authority of botocore's bundle has a file. Names with letters beyond ASCII are among them."""
    folder, bundle = tmp_path / "authorities", Path(httpsession.DEFAULT_CA_BUNDLE)
    split_certificates.split(bundle, folder)
    content = {path.read_text(): path.stem for path in folder.iterdir()}
    assert sorted(content) == sorted(set(split_certificates.CERTIFICATE.findall(bundle.read_text())))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    authorities = list(zip(context.get_ca_certs(binary_form=True), context.get_ca_certs(), strict=True))
    foreign = [certificate for certificate, authority in authorities if not str(authority["subject"]).isascii()]
    assert foreign
    for certificate in (*foreign, *(certificate for certificate, _ in authorities[::20])):
        text = ssl.DER_cert_to_PEM_cert(certificate)
        command = ("openssl", "x509", "-noout", "-subject_hash")
        result = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        assert content[text] == result.stdout.strip()


@pytest.mark.parametrize("function", ["create_project", "record_resource"])
def test_postponed_work(function: str) -> None:
    """A function starts without asyncio and without a garbage collection. Afterwards both work as usual."""
    environment = {
        "PYTHONPATH": f"{ROOT / 'functions' / function}:{LAYER}",
        "AWS_LAMBDA_FUNCTION_NAME": "any",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    command = (sys.executable, "-c", START_PROGRAM)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == {
        "asyncio": False,
        "collections": 0,
        "threshold": list(gc.get_threshold()),
        "sleep": "slept",
    }


@pytest.mark.parametrize("path", sorted(ROOT.glob("functions/*/app.py")), ids=lambda path: path.parent.name)
def test_handlers_take_powertools_classes_from_the_package(path: Path) -> None:
    """The package has to be imported before Powertools' event handler and batch utility, or it postpones nothing."""
    imports = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    assert {name for name in imports if name and name.startswith("aws_lambda_powertools")} <= {
        "aws_lambda_powertools",
        "aws_lambda_powertools.utilities.typing",
    }
