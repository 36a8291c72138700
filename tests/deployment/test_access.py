"""Access to the deployed stack: the services that may assume its roles and invoke its functions, and no others.

The IAM simulator evaluates the deployed trust policies of the roles, the policies of the schedules' roles and the
resource-based policies of the functions. Each statement is removed in turn, and IAM must then deny the access.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from local.stack import ACCOUNT, REGION
from tests.support.aws_emulator import DeployedStack
from tests.support.iam_requests import IamRequest
from tests.support.iam_simulator import Policy, Principal, Simulator, start_simulator

LAMBDA, GATEWAY, SCHEDULER = (f"{name}.amazonaws.com" for name in ("lambda", "apigateway", "scheduler"))


@dataclass(frozen=True)
class Access:
    """A request that a service makes when the stack is used.

    Attributes:
        principal: The service or role, with its policies.
        request: The request.
        resource_policy: The policy of the list_gateway_calls resource, or None if the resource has no policy.
    """

    principal: Principal
    request: IamRequest
    resource_policy: Policy | None = None

    def is_allowed(self, simulator: Simulator) -> bool:
        simulator.resource_policies = {self.request.resource: self.resource_policy} if self.resource_policy else {}
        return simulator.evaluate(self.principal, [self.request]) == [True]

    def remove_each_statement(self) -> Iterator[Access]:
        """Yield the access without each statement of its policies in turn."""
        for reduced_policy in _remove_each_statement(self.resource_policy or {"Statement": []}):
            yield replace(self, resource_policy=reduced_policy)
        for index, policy in enumerate(self.principal.identity):
            for reduced_policy in _remove_each_statement(policy):
                identity = [*self.principal.identity[:index], reduced_policy, *self.principal.identity[index + 1 :]]
                yield replace(self, principal=replace(self.principal, identity=identity))


def _remove_each_statement(policy: Policy) -> Iterator[Policy]:
    for number in range(len(policy["Statement"])):
        yield policy | {"Statement": [*policy["Statement"][:number], *policy["Statement"][number + 1 :]]}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with start_simulator() as running:
        yield running


def list_assumed_roles(stack: DeployedStack) -> dict[str, Access]:
    """Return the access with which a service assumes each role of the stack, by role."""
    accesses = {}
    for name in stack.find_properties("AWS::IAM::Role"):
        role = stack.aws("iam").get_role(RoleName=stack.physical_ids[name])["Role"]
        service = SCHEDULER if name.endswith("ScheduleRole") else LAMBDA
        request = IamRequest("sts:AssumeRole", role["Arn"], (("aws:SourceAccount", (ACCOUNT,)),))
        accesses[name] = Access(Principal(service), request, role["AssumeRolePolicyDocument"])
    return accesses


def list_gateway_calls(stack: DeployedStack) -> dict[str, Access]:
    """Return the access with which this API invokes each route's function and the authorizer, by function."""
    arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{stack.physical_ids['Api']}"
    sources = {"Authorize": f"{arn}/authorizers/a1b2c3"}
    for path, operations in stack.template["Resources"]["Api"]["Properties"]["Body"]["paths"].items():
        for method, operation in operations.items():
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            function = uri.partition("functions/${")[2].partition("Aliaslive}")[0]
            route = path.replace("{project_id}", "p").replace("{user_id}", "u").replace("{export_id}", "e")
            sources[function] = f"{arn}/$default/{method.upper()}{route}"
    accesses = {}
    for function, source in sources.items():
        alias = stack.physical_ids[f"{function}Aliaslive"]
        policy = json.loads(stack.aws("lambda").get_policy(FunctionName=alias, Qualifier="live")["Policy"])
        request = IamRequest("lambda:InvokeFunction", alias, (("aws:SourceArn", (source,)),))
        accesses[function] = Access(Principal(GATEWAY), request, policy)
    return accesses


def list_scheduled_calls(stack: DeployedStack) -> dict[str, Access]:
    """Return the access with which each schedule's role invokes its function, by schedule."""
    iam, accesses = stack.aws("iam"), {}
    for schedule in stack.find_properties("AWS::Scheduler::Schedule"):
        target = stack.aws("scheduler").get_schedule(Name=stack.physical_ids[schedule])["Target"]
        role = target["RoleArn"].rpartition("/")[2]
        identity = [
            iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        ]
        accesses[schedule] = Access(
            Principal(target["RoleArn"], identity), IamRequest("lambda:InvokeFunction", target["Arn"])
        )
    return accesses


def list_accesses(stack: DeployedStack) -> dict[str, Access]:
    return {
        f"{kind} {name}": access
        for kind, list_kind in (
            ("assume", list_assumed_roles),
            ("request", list_gateway_calls),
            ("schedule", list_scheduled_calls),
        )
        for name, access in list_kind(stack).items()
    }


def test_access_needs_each_statement(deployed: DeployedStack, simulator: Simulator) -> None:
    accesses = list_accesses(deployed)
    types = ("AWS::IAM::Role", "AWS::Lambda::Permission", "AWS::Scheduler::Schedule")
    assert len(accesses) == sum(len(deployed.find_properties(type_)) for type_ in types)
    for name, access in accesses.items():
        assert access.is_allowed(simulator), name
        reduced = list(access.remove_each_statement())
        assert reduced, name
        assert not [access for access in reduced if access.is_allowed(simulator)], name


def test_permissions_equal_gateway_calls(deployed: DeployedStack) -> None:
    permissions = {
        permission["FunctionName"]["Ref"] for permission in deployed.find_properties("AWS::Lambda::Permission").values()
    }
    assert permissions == {f"{function}Aliaslive" for function in list_gateway_calls(deployed)}
    assert len(deployed.find_properties("AWS::Lambda::Permission")) == len(permissions)


@pytest.mark.parametrize("service", [GATEWAY, SCHEDULER, "events.amazonaws.com", "ec2.amazonaws.com"])
def test_other_services_cannot_assume_roles(deployed: DeployedStack, simulator: Simulator, service: str) -> None:
    for name, access in list_assumed_roles(deployed).items():
        if access.principal.arn != service:
            assert not replace(access, principal=Principal(service)).is_allowed(simulator), name


@pytest.mark.parametrize(
    "source", [f"arn:aws:execute-api:{REGION}:{ACCOUNT}:another/$default/GET/api/projects", "arn:aws:s3:::a-bucket"]
)
def test_other_sources_cannot_call_routes(deployed: DeployedStack, simulator: Simulator, source: str) -> None:
    for name, access in list_gateway_calls(deployed).items():
        request = replace(access.request, context=(("aws:SourceArn", (source,)),))
        assert not replace(access, request=request).is_allowed(simulator), name


def test_routes_cannot_call_functions_of_other_methods(deployed: DeployedStack, simulator: Simulator) -> None:
    # the permissions do not separate routes of one method: their wildcard for a project id also matches longer paths
    accesses = list_gateway_calls(deployed)
    for name, access in accesses.items():
        for other_name, other in accesses.items():
            if _method(other) != _method(access):
                request = replace(access.request, context=other.request.context)
                assert not replace(access, request=request).is_allowed(simulator), f"{other_name} of {name}"


def _method(access: Access) -> str:
    ((_, (source,)),) = access.request.context
    return source.split("/")[2]


def test_schedules_call_own_function_only(deployed: DeployedStack, simulator: Simulator) -> None:
    for name, access in list_scheduled_calls(deployed).items():
        for function in deployed.find_properties("AWS::Lambda::Function"):
            alias = deployed.physical_ids[f"{function}Aliaslive"]
            request = IamRequest("lambda:InvokeFunction", alias)
            assert replace(access, request=request).is_allowed(simulator) == (alias == access.request.resource), name


def test_other_functions_have_no_permissions(deployed: DeployedStack) -> None:
    client, routes = deployed.aws("lambda"), list_gateway_calls(deployed)
    for function in deployed.find_properties("AWS::Lambda::Function").keys() - routes.keys():
        for qualified in ({}, {"Qualifier": "live"}):
            with contextlib.suppress(client.exceptions.ResourceNotFoundException):
                policy = client.get_policy(FunctionName=deployed.physical_ids[function], **qualified)["Policy"]
                assert json.loads(policy)["Statement"] == []
