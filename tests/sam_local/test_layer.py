"""What ``make build`` puts into the layer."""

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

from local.stack import ROOT
from tests.support.in_process_app import ENVIRONMENT

LAYER = ROOT / ".aws-sam" / "build" / "CoreLayer" / "python"
SERVICES = ("dynamodb", "events", "s3", "sqs")
MIB = 1 << 20

CUT = Loader(extra_search_paths=[str(LAYER / "botocore" / "data")], include_default_search_paths=False)
WHOLE = Loader()


def test_it_holds_the_package_and_what_is_locked_for_it_and_nothing_else() -> None:
    locked = set(re.findall(r"^([a-z0-9_-]+)==", (ROOT / "layers/core/requirements.txt").read_text(), re.MULTILINE))
    installed = {
        one.metadata["Name"].replace("_", "-").lower() for one in importlib.metadata.distributions(path=[str(LAYER)])
    }
    assert installed == locked
    expected = {
        "annotated_types", "aws_lambda_powertools", "botocore", "dateutil", "jmespath", "projects_api", "pydantic",
        "pydantic_core", "six.py", "typing_extensions.py", "typing_inspection", "urllib3",
    }  # fmt: skip
    found = {one.name for one in LAYER.iterdir() if one.suffix != ".dist-info" and one.name != "__pycache__"}
    assert found == expected
    assert [one.name for one in LAYER.parent.iterdir()] == ["python"]
    assert not list(LAYER.glob("*.dist-info/direct_url.json"))


def test_it_is_small() -> None:
    size = sum(path.stat().st_size for path in LAYER.rglob("*") if path.is_file())
    print(f"The layer holds {size / MIB:.1f} MiB.")
    assert size < 30 * MIB


def test_all_of_it_is_compiled_and_its_bytecode_is_read_without_a_look_at_the_sources() -> None:
    for source in LAYER.rglob("*.py"):
        compiled = Path(importlib.util.cache_from_source(str(source)))
        assert compiled.is_file(), source
        content = compiled.read_bytes()
        assert content[:4] == importlib.util.MAGIC_NUMBER, source
        assert int.from_bytes(content[4:8], "little") == 0b01, f"{source}: not an unchecked hash (PEP 552)"
        assert content[8:16] == importlib.util.source_hash(source.read_bytes()), source


def test_it_fits_both_of_lambdas_architectures() -> None:
    extensions = {one.name for one in (LAYER / "pydantic_core").glob("*.so")}
    assert extensions == {f"_pydantic_core.cpython-313-{machine}-linux-gnu.so" for machine in ("aarch64", "x86_64")}


def test_every_client_of_the_package_is_made_from_the_layer_alone() -> None:
    program = f"""
from projects_api.storage import clients
import botocore, json
made = [getattr(clients, name)() for name in {SERVICES}]
assert "X-Amz-Signature" in clients.s3().generate_presigned_url("get_object", Params={{"Bucket": "b", "Key": "k"}})
print(json.dumps([botocore.__file__, *[one.meta.service_model.service_name for one in made]]))
"""
    environment = {"PYTHONPATH": str(LAYER)} | ENVIRONMENT
    command = [sys.executable, "-S", "-c", program]  # -S: nothing of the virtual environment's
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [str(LAYER / "botocore" / "__init__.py"), *SERVICES]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_described_as_botocore_describes_it(service: str) -> None:
    cut, whole = (ServiceModel(one.load_service_model(service, "service-2"), service) for one in (CUT, WHOLE))
    assert cut.metadata == whole.metadata
    assert cut.operation_names == whole.operation_names
    assert cut.shape_names == whole.shape_names
    assert [one.name for one in cut.client_context_parameters] == [one.name for one in whole.client_context_parameters]
    for name in whole.operation_names:
        assert cut.operation_model(name).http == whole.operation_model(name).http
    for name in whole.shape_names:
        assert described(cut.shape_for(name)) == described(whole.shape_for(name))


def described(shape: Shape) -> object:
    members = {name: one.name for name, one in shape.members.items()} if isinstance(shape, StructureShape) else None
    return shape.type_name, shape.serialization, shape.metadata, members


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_all_its_endpoints(service: str) -> None:
    for cut, whole in zip(*(one.load_data("endpoints")["partitions"] for one in (CUT, WHOLE)), strict=True):
        assert cut["regions"] == whole["regions"]
        assert cut["services"].get(service) == whole["services"].get(service)
