"""MiniStack, an emulator of AWS whose CloudFormation creates almost every resource of the template.

This module names the resources that MiniStack does not support, and configures by API calls the properties that it
ignores. docs/how-to/deploy.md lists both.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import boto3
import requests
import yaml

from local.engines import find_free_ports
from local.stack import ACCOUNT, REGION, ROOT, STACK
from tests.support.api_client import Client, Response

BUILD = ROOT / ".aws-sam" / "build"
PYTHON = ROOT / ".venv" / "emulator" / "bin" / "python"
#: How long MiniStack may take to start, in seconds.
START_TIMEOUT = 60

#: The resources that MiniStack rejects, with its error messages. It rolls back a stack that has one of them.
UNSUPPORTED = dict.fromkeys(("JobErrorsAlarm", "ThrottlesAlarm"), "Properties.Metrics (metric math) is not supported")

#: Resources that the emulator does not have, and that no deployment with the default parameters creates.
CONDITIONAL = ("BusPolicy", "TableKeyPolicy", "BucketKeysPolicy")

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCOUNT,  # MiniStack uses a key of twelve digits as the account number
    "AWS_SECRET_ACCESS_KEY": "emulated",
    "AWS_DEFAULT_REGION": REGION,
}


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    Attributes:
        endpoint: The URL of its API.
        folder: The folder it writes to.
    """

    endpoint: str
    folder: Path

    @cache  # noqa: B019 - one client per service
    def aws(self, service: str) -> Any:
        """Return a boto3 client of the emulator."""
        return boto3.client(
            service,  # type: ignore[call-overload]  # of any service
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which a program uses the emulator instead of AWS."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return inherited | CREDENTIALS | {"AWS_ENDPOINT_URL": self.endpoint, "SAM_CLI_TELEMETRY": "0"}

    def deploy(self, *excluded: str) -> subprocess.CompletedProcess[str]:
        """Run `sam deploy --config-env prod` on the built template.

        Args:
            excluded: The logical ids of the resources to leave out.
        """
        template = yaml.safe_load((BUILD / "template.yaml").read_text())
        for name in (*excluded, *CONDITIONAL):
            del template["Resources"][name]
        template_path = BUILD / "template.emulated.yaml"  # the paths in a template are relative to its folder
        template_path.write_text(yaml.safe_dump(template, sort_keys=False))
        command = (
            f"deploy --config-env prod --no-confirm-changeset --no-progressbar --config-file {ROOT}/samconfig.toml"
        )
        return subprocess.run(
            [Path(sys.executable).with_name("sam"), *command.split(), "--template-file", template_path],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )


@contextlib.contextmanager
def start_emulator(folder: Path) -> Iterator[Emulator]:
    """Run the emulator on a free port of this machine until the end of the block. It stores nothing permanently."""
    (port,) = find_free_ports(1)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,  # the account of requests without credentials
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
    log, endpoint = folder / "log", f"http://127.0.0.1:{port}"
    with (
        log.open("w") as output,
        subprocess.Popen([PYTHON, "-m", "ministack"], env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while "Running on" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield Emulator(endpoint, folder)
        finally:
            process.terminate()


@dataclass(frozen=True)
class DeployedStack:
    """The stack, as it is deployed in an emulator."""

    emulator: Emulator

    def aws(self, service: str) -> Any:
        """Return a boto3 client of the emulator."""
        return self.emulator.aws(service)

    @cached_property
    def template(self) -> dict[str, Any]:
        """The template as CloudFormation processed it, with SAM's resources transformed."""
        template = self.aws("cloudformation").get_template(StackName=STACK, TemplateStage="Processed")["TemplateBody"]
        return dict(json.loads(template) if isinstance(template, str) else template)

    @cached_property
    def resources(self) -> list[dict[str, Any]]:
        return list(self.aws("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"])

    @cached_property
    def physical_ids(self) -> dict[str, str]:
        """The physical id of each resource, by its logical id."""
        return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in self.resources}

    @cached_property
    def outputs(self) -> dict[str, str]:
        (stack,) = self.aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def find_properties(self, type_: str) -> dict[str, dict[str, Any]]:
        """Return the properties of all resources of a type, by their logical ids."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == type_
        }

    def invoke(self, output: str, event: dict[str, Any]) -> Any:
        """Invoke a function and return its result.

        Args:
            output: The output of the stack that names the function.
            event: The event.
        """
        response = self.aws("lambda").invoke(FunctionName=self.outputs[output], Payload=json.dumps(event))
        assert "FunctionError" not in response
        return json.loads(response["Payload"].read())

    def create_user(self, nick: str) -> Client:
        """Register a user and create an API key for them."""
        email = f"{nick}@example.com"
        user = self.invoke("RegisterUserFunction", {"email": email, "name": nick.title()})
        key = self.invoke("CreateApiKeyFunction", {"email": email, "scopes": ["read", "write"]})
        return Client(self.send, key["api_key"], user["user_id"], email)

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Response:
        """Send a request to the deployed API, which the emulator recognizes by the `Host` header."""
        host = {"Host": f"{self.physical_ids['Api']}.execute-api.localhost"}
        response = requests.request(
            method, self.emulator.endpoint + path, headers=host | headers, data=body, timeout=60, allow_redirects=False
        )
        return Response.from_http(response)


def complete_deployment(stack: DeployedStack) -> None:
    """Configure by API calls what the emulator's CloudFormation ignores and requests and queues need."""
    _import_body(stack)
    for name, properties in stack.find_properties("AWS::Lambda::EventSourceMapping").items():
        assert properties["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "WorkerConcurrency"}}
        # MiniStack passes a parameter of type Number to its poller as a string, which the poller cannot use
        stack.aws("lambda").update_event_source_mapping(
            UUID=stack.physical_ids[name], ScalingConfig={"MaximumConcurrency": 2}
        )


def _import_body(stack: DeployedStack) -> None:
    """Create the routes that the API's OpenAPI document declares, with their integrations and the authorizer."""
    gateway, api = stack.aws("apigatewayv2"), stack.physical_ids["Api"]
    document = stack.template["Resources"]["Api"]["Properties"]["Body"]
    ((name, scheme),) = document["components"]["securitySchemes"].items()
    declared = scheme["x-amazon-apigateway-authorizer"]
    authorizer = gateway.create_authorizer(
        ApiId=api,
        Name=name,
        AuthorizerType="REQUEST",
        AuthorizerUri=_invocation_uri(stack, stack.physical_ids["AuthorizeAliaslive"]),
        AuthorizerResultTtlInSeconds=declared["authorizerResultTtlInSeconds"],
        IdentitySource=declared["identitySource"],
        AuthorizerPayloadFormatVersion=declared["authorizerPayloadFormatVersion"],
        EnableSimpleResponses=declared["enableSimpleResponses"],
    )["AuthorizerId"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            integration = operation["x-amazon-apigateway-integration"]
            (alias,) = re.findall(r"\$\{(\w+)\}/invocations", integration["uri"]["Fn::Sub"])
            created = gateway.create_integration(
                ApiId=api,
                IntegrationType=integration["type"].upper(),
                IntegrationUri=_invocation_uri(stack, stack.physical_ids[alias]),
                PayloadFormatVersion=integration["payloadFormatVersion"],
            )
            needs_key = {name: []} in operation["security"]
            gateway.create_route(
                ApiId=api,
                RouteKey=f"{method.upper()} {path}",
                Target=f"integrations/{created['IntegrationId']}",
                **({"AuthorizationType": "CUSTOM", "AuthorizerId": authorizer} if needs_key else {}),
            )


def _invocation_uri(stack: DeployedStack, arn: str) -> str:
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"
