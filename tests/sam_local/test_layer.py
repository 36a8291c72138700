"""The content of the built layer."""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape, StructureShape

import split_certificates
import trim
from local.stack import ROOT
from tests.support.in_process_app import ENVIRONMENT

LAYER = ROOT / ".aws-sam" / "build" / "CoreLayer" / "python"
SERVICES = ("dynamodb", "events", "s3", "sqs")
MIB = 1 << 20

TRIMMED = Loader(extra_search_paths=[str(LAYER / "botocore" / "data")], include_default_search_paths=False)
COMPLETE = Loader()


def test_packages() -> None:
    locked = set(re.findall(r"^([a-z0-9_-]+)==", (ROOT / "layers/core/requirements.txt").read_text(), re.MULTILINE))
    installed = {
        distribution.metadata["Name"].replace("_", "-").lower()
        for distribution in importlib.metadata.distributions(path=[str(LAYER)])
    }
    assert installed == locked
    expected = {
        "annotated_types", "aws_lambda_powertools", "botocore", "dateutil", "jmespath", "projects_api", "pydantic",
        "pydantic_core", "six.py", "typing_extensions.py", "typing_inspection", "urllib3",
    }  # fmt: skip
    names = {path.name for path in LAYER.iterdir() if path.suffix != ".dist-info" and path.name != "__pycache__"}
    assert names == expected
    assert [path.name for path in LAYER.parent.iterdir()] == ["python"]
    assert not list(LAYER.glob("*.dist-info/direct_url.json"))


def test_size() -> None:
    size = sum(path.stat().st_size for path in LAYER.rglob("*") if path.is_file())
    print(f"The size of the layer is {size / MIB:.1f} MiB.")
    assert size < 30 * MIB


def test_bytecode() -> None:
    """Every module is compiled, and Python loads the bytecode without checking the source (PEP 552)."""
    for source in LAYER.rglob("*.py"):
        compiled = Path(importlib.util.cache_from_source(str(source)))
        assert compiled.is_file(), source
        content = compiled.read_bytes()
        assert content[:4] == importlib.util.MAGIC_NUMBER, source
        assert int.from_bytes(content[4:8], "little") == 0b01, f"{source}: not an unchecked hash"
        assert content[8:16] == importlib.util.source_hash(source.read_bytes()), source


def test_architectures() -> None:
    extensions = {path.name for path in (LAYER / "pydantic_core").glob("*.so")}
    assert extensions == {f"_pydantic_core.cpython-313-{machine}-linux-gnu.so" for machine in ("aarch64", "x86_64")}


def test_clients_need_the_layer_only() -> None:
    program = f"""
from projects_api.storage import clients
import botocore, json
created = [getattr(clients, name)() for name in {SERVICES}]
assert "X-Amz-Signature" in clients.s3().generate_presigned_url("get_object", Params={{"Bucket": "b", "Key": "k"}})
print(json.dumps([botocore.__file__, *[client.meta.service_model.service_name for client in created]]))
"""
    environment = {"PYTHONPATH": str(LAYER)} | ENVIRONMENT
    command = [sys.executable, "-S", "-c", program]  # -S: without the packages of the virtual environment
    result = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == [str(LAYER / "botocore" / "__init__.py"), *SERVICES]


@pytest.mark.parametrize("service", SERVICES)
def test_service_model(service: str) -> None:
    """The trimmed model of a service has the operations that are called, with all their shapes."""
    trimmed, complete = (
        ServiceModel(loader.load_service_model(service, "service-2"), service) for loader in (TRIMMED, COMPLETE)
    )
    assert trimmed.metadata == complete.metadata
    assert set(trimmed.operation_names) == {*trim.OPERATIONS[service], *trim.BOTOCORE_OPERATIONS.get(service, ())}
    assert [parameter.name for parameter in trimmed.client_context_parameters] == [
        parameter.name for parameter in complete.client_context_parameters
    ]
    for name in trimmed.operation_names:
        assert trimmed.operation_model(name).http == complete.operation_model(name).http
    for name in trimmed.shape_names:
        assert describe_shape(trimmed.shape_for(name)) == describe_shape(complete.shape_for(name))


def test_authorities() -> None:
    """Each authority of botocore's bundle is in the folder from which OpenSSL reads only the one that it needs."""
    bundle = (LAYER / "botocore" / "cacert.pem").read_text()
    authorities = {path.read_text() for path in (LAYER / "botocore" / "cacert").iterdir()}
    assert authorities == set(split_certificates.CERTIFICATE.findall(bundle))


def describe_shape(shape: Shape) -> object:
    members = (
        {name: member.name for name, member in shape.members.items()} if isinstance(shape, StructureShape) else None
    )
    return shape.type_name, shape.serialization, shape.metadata, members


@pytest.mark.parametrize("service", SERVICES)
def test_endpoints(service: str) -> None:
    for trimmed, complete in zip(
        *(loader.load_data("endpoints")["partitions"] for loader in (TRIMMED, COMPLETE)), strict=True
    ):
        assert trimmed["regions"] == complete["regions"]
        assert trimmed["services"].get(service) == complete["services"].get(service)
