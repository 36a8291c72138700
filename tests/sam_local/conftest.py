"""The built functions in containers, with moto's server as AWS. `make sam-local` runs these tests."""

import json
import os
import platform
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import yaml

from local.stack import ROOT
from tests.support.in_process_app import InProcessApp
from tests.support.moto_server_app import start_moto_server_app
from tests.support.sam_local import DOCKER_HOST_NAME, SamLocal, SamLocalApp

BUILD = ROOT / ".aws-sam" / "build"


@pytest.fixture(scope="session")
def deployed() -> Iterator[InProcessApp]:
    """Deploy the stack on moto's server, with the sample data. Its functions run in this process."""
    with start_moto_server_app("0.0.0.0") as app:
        yield app


@pytest.fixture(scope="session")
def sam(deployed: InProcessApp, tmp_path_factory: pytest.TempPathFactory) -> SamLocal:
    """Write a copy of the built template whose functions use the deployed stack, and return `sam local` for it."""
    template = yaml.safe_load((BUILD / "template.yaml").read_text())
    endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    container_endpoint = f"http://{os.environ.get('HOST_FROM_CONTAINERS', DOCKER_HOST_NAME)}:{endpoint.port}"
    for name, function in deployed.stack.functions.items():
        properties = template["Resources"][name]["Properties"]
        properties["Environment"] = {"Variables": function.environment | {"AWS_ENDPOINT_URL": container_endpoint}}
        properties["Architectures"] = [{"aarch64": "arm64"}.get(platform.machine(), platform.machine())]
    path = BUILD / "template.local.json"  # the paths in a template are relative to its folder
    path.write_text(json.dumps(template))  # which SAM CLI parses in a hundredth of the time of YAML
    return SamLocal(path, tmp_path_factory.mktemp("invocations"))


@pytest.fixture(scope="session")
def container_app(deployed: InProcessApp, sam: SamLocal) -> SamLocalApp:
    return SamLocalApp(deployed.stack, sam)
