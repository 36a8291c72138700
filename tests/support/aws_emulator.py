"""MiniStack, an emulator of AWS whose CloudFormation creates almost all that the template declares.

What it leaves out is named here, and made up for by calls; docs/operations.md tells it.
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

from local.engines import free_ports
from local.stack import ACCOUNT, REGION, ROOT, STACK
from tests.support.api_client import Answer, Client

BUILD = ROOT / ".aws-sam" / "build"
PYTHON = ROOT / ".venv" / "emulator" / "bin" / "python"
START_UP = 60

#: The resources that it refuses, with its words. A stack with one of them is rolled back.
REFUSED = dict.fromkeys(("JobErrorsAlarm", "ThrottlesAlarm"), "Properties.Metrics (metric math) is not supported")

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": ACCOUNT,  # it takes a key of twelve digits for the account's number
    "AWS_SECRET_ACCESS_KEY": "emulated",
    "AWS_DEFAULT_REGION": REGION,
}


@dataclass(frozen=True)
class Emulator:
    """The emulator, while it runs."""

    endpoint: str
    folder: Path

    @cache  # noqa: B019 - there are as few of them as there are services
    def aws(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]  # of any service
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    @property
    def environment(self) -> dict[str, str]:
        """What has programs talk to it as to AWS."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return inherited | CREDENTIALS | {"AWS_ENDPOINT_URL": self.endpoint, "SAM_CLI_TELEMETRY": "0"}

    def deploy(self, *without: str) -> subprocess.CompletedProcess[str]:
        """`sam deploy --config-env prod` of what is built, without the resources that are named."""
        template = yaml.safe_load((BUILD / "template.yaml").read_text())
        for name in without:
            del template["Resources"][name]
        written = BUILD / "template.emulated.yaml"  # its paths are relative to where it lies
        written.write_text(yaml.safe_dump(template, sort_keys=False))
        command = (
            f"deploy --config-env prod --no-confirm-changeset --no-progressbar --config-file {ROOT}/samconfig.toml"
        )
        return subprocess.run(
            [Path(sys.executable).with_name("sam"), *command.split(), "--template-file", written],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )


@contextlib.contextmanager
def emulator(folder: Path) -> Iterator[Emulator]:
    """The emulator on a free port of this machine, which keeps nothing, until the end of the block."""
    (port,) = free_ports(1)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,  # of who comes without a key
        "MINISTACK_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
    log, endpoint = folder / "log", f"http://127.0.0.1:{port}"
    with (
        log.open("w") as output,
        subprocess.Popen([PYTHON, "-m", "ministack"], env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            deadline = time.monotonic() + START_UP
            while "Running on" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield Emulator(endpoint, folder)
        finally:
            process.terminate()


@dataclass(frozen=True)
class Deployed:
    """The stack, as it stands in the emulator."""

    emulator: Emulator

    def aws(self, service: str) -> Any:
        return self.emulator.aws(service)

    @cached_property
    def template(self) -> dict[str, Any]:
        """What CloudFormation made of the template: SAM's resources transformed."""
        found = self.aws("cloudformation").get_template(StackName=STACK, TemplateStage="Processed")["TemplateBody"]
        return dict(json.loads(found) if isinstance(found, str) else found)

    @cached_property
    def described(self) -> list[dict[str, Any]]:
        return list(self.aws("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"])

    @cached_property
    def names(self) -> dict[str, str]:
        """What each resource of the template is called in the account."""
        return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in self.described}

    @cached_property
    def outputs(self) -> dict[str, str]:
        (stack,) = self.aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def of_type(self, type_: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of a type, by their names in the template."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.template["Resources"].items()
            if resource["Type"] == type_
        }

    def invoke(self, output: str, event: dict[str, Any]) -> Any:
        """What a function that an output names answers."""
        answer = self.aws("lambda").invoke(FunctionName=self.outputs[output], Payload=json.dumps(event))
        assert "FunctionError" not in answer
        return json.loads(answer["Payload"].read())

    def user(self, nick: str) -> Client:
        """A new user with a key."""
        email = f"{nick}@example.com"
        user = self.invoke("RegisterUserFunction", {"email": email, "name": nick.title()})
        key = self.invoke("CreateApiKeyFunction", {"email": email, "scopes": ["read", "write"]})
        return Client(self.send, key["api_key"], user["user_id"], email)

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        """Asks the deployed API, which the emulator tells by the host's name."""
        host = {"Host": f"{self.names['Api']}.execute-api.localhost"}
        answer = requests.request(
            method, self.emulator.endpoint + path, headers=host | headers, data=body, timeout=60, allow_redirects=False
        )
        return Answer.of(answer)


def complete(stack: Deployed) -> None:
    """Does by calls what the emulator's CloudFormation leaves out, and what requests and queues need."""
    _import_body(stack)
    for name, properties in stack.of_type("AWS::Lambda::EventSourceMapping").items():
        assert properties["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "WorkerConcurrency"}}
        stack.aws(
            "lambda"
        ).update_event_source_mapping(  # a parameter's number is a text to it, which its poller can't count
            UUID=stack.names[name], ScalingConfig={"MaximumConcurrency": 2}
        )


def _import_body(stack: Deployed) -> None:
    """Creates the routes that the API's OpenAPI document declares, with their integrations and the authorizer."""
    gateway, api = stack.aws("apigatewayv2"), stack.names["Api"]
    document = stack.template["Resources"]["Api"]["Properties"]["Body"]
    ((name, scheme),) = document["components"]["securitySchemes"].items()
    declared = scheme["x-amazon-apigateway-authorizer"]
    authorizer = gateway.create_authorizer(
        ApiId=api,
        Name=name,
        AuthorizerType="REQUEST",
        AuthorizerUri=_invocation(stack, stack.names["AuthorizeAliaslive"]),
        AuthorizerResultTtlInSeconds=declared["authorizerResultTtlInSeconds"],
        IdentitySource=declared["identitySource"],
        AuthorizerPayloadFormatVersion=declared["authorizerPayloadFormatVersion"],
        EnableSimpleResponses=declared["enableSimpleResponses"],
    )["AuthorizerId"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            integration = operation["x-amazon-apigateway-integration"]
            (alias,) = re.findall(r"\$\{(\w+)\}/invocations", integration["uri"]["Fn::Sub"])
            made = gateway.create_integration(
                ApiId=api,
                IntegrationType=integration["type"].upper(),
                IntegrationUri=_invocation(stack, stack.names[alias]),
                PayloadFormatVersion=integration["payloadFormatVersion"],
            )
            keyed = {name: []} in operation["security"]
            gateway.create_route(
                ApiId=api,
                RouteKey=f"{method.upper()} {path}",
                Target=f"integrations/{made['IntegrationId']}",
                **({"AuthorizationType": "CUSTOM", "AuthorizerId": authorizer} if keyed else {}),
            )


def _invocation(stack: Deployed, arn: str) -> str:
    return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{arn}/invocations"
