"""The built artifact in containers, with moto's server as AWS: `make sam-local`."""

import os
import platform
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import yaml

from local.stack import ROOT
from tests.support.in_process_app import InProcessApp
from tests.support.moto_server_app import moto_server_app
from tests.support.sam_local import DOCKERS_NAME, SamLocal, SamLocalApp

BUILD = ROOT / ".aws-sam" / "build"


@pytest.fixture(scope="session")
def deployed() -> Iterator[InProcessApp]:
    """The stack on moto's server, with what the events ask for; its functions run in this process."""
    with moto_server_app("0.0.0.0") as app:
        yield app


@pytest.fixture(scope="session")
def sam(deployed: InProcessApp, tmp_path_factory: pytest.TempPathFactory) -> SamLocal:
    """``sam local`` on the built template, in which the functions are told of the deployed stack instead of AWS's."""
    template = yaml.safe_load((BUILD / "template.yaml").read_text())
    endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    seen = f"http://{os.environ.get('HOST_FROM_CONTAINERS', DOCKERS_NAME)}:{endpoint.port}"
    for name, function in deployed.stack.functions.items():
        properties = template["Resources"][name]["Properties"]
        properties["Environment"] = {"Variables": function.environment | {"AWS_ENDPOINT_URL": seen}}
        properties["Architectures"] = [{"aarch64": "arm64"}.get(platform.machine(), platform.machine())]
    written = BUILD / "template.local.yaml"  # its paths are relative to where it lies
    written.write_text(yaml.safe_dump(template, sort_keys=False))
    return SamLocal(written, tmp_path_factory.mktemp("invocations"))


@pytest.fixture(scope="session")
def contained(deployed: InProcessApp, sam: SamLocal) -> SamLocalApp:
    return SamLocalApp(deployed.stack, sam)
