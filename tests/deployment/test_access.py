"""Who may become a role and who may call a function: the service whose business it is, for this stack, and nobody else.

IAM's simulator is asked about what was deployed: the roles' trust policies, the schedules' roles, and the functions'
permissions. Each is taken away in turn, and what it is there for must be denied.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from local.stack import ACCOUNT, REGION
from tests.support.aws_emulator import Deployed
from tests.support.iam_requests import Request
from tests.support.iam_simulator import Policy, Principal, Simulator, simulator

LAMBDA, GATEWAY, SCHEDULER = (f"{name}.amazonaws.com" for name in ("lambda", "apigateway", "scheduler"))


@dataclass(frozen=True)
class Use:
    """Something that a service does when the stack is used, by its own policies and by those of what it does it to."""

    who: Principal
    request: Request
    resource_policy: Policy | None = None

    def allowed(self, asked: Simulator) -> bool:
        asked.resource_policies = {self.request.resource: self.resource_policy} if self.resource_policy else {}
        return asked.allowed(self.who, [self.request]) == [True]

    def without(self) -> Iterator[Use]:
        """The same without each statement that it may stand on."""
        for less in _without_one(self.resource_policy or {"Statement": []}):
            yield replace(self, resource_policy=less)
        for place, policy in enumerate(self.who.identity):
            for less in _without_one(policy):
                identity = [*self.who.identity[:place], less, *self.who.identity[place + 1 :]]
                yield replace(self, who=replace(self.who, identity=identity))


def _without_one(policy: Policy) -> Iterator[Policy]:
    for number in range(len(policy["Statement"])):
        yield policy | {"Statement": [*policy["Statement"][:number], *policy["Statement"][number + 1 :]]}


@pytest.fixture(scope="module")
def asked() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


def assumed(stack: Deployed) -> dict[str, Use]:
    """That its service becomes each role of the stack."""
    found = {}
    for name in stack.of_type("AWS::IAM::Role"):
        role = stack.aws("iam").get_role(RoleName=stack.names[name])["Role"]
        service = SCHEDULER if name.endswith("ScheduleRole") else LAMBDA
        request = Request("sts:AssumeRole", role["Arn"], (("aws:SourceAccount", (ACCOUNT,)),))
        found[name] = Use(Principal(service), request, role["AssumeRolePolicyDocument"])
    return found


def requested(stack: Deployed) -> dict[str, Use]:
    """That the gateway calls each route's function and the authorizer, on behalf of this API."""
    arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{stack.names['Api']}"
    sources = {"Authorize": f"{arn}/authorizers/a1b2c3"}
    for path, operations in stack.template["Resources"]["Api"]["Properties"]["Body"]["paths"].items():
        for method, operation in operations.items():
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            function = uri.partition("functions/${")[2].partition("Aliaslive}")[0]
            route = path.replace("{project_id}", "p").replace("{user_id}", "u").replace("{export_id}", "e")
            sources[function] = f"{arn}/$default/{method.upper()}{route}"
    found = {}
    for function, source in sources.items():
        alias = stack.names[f"{function}Aliaslive"]
        policy = json.loads(stack.aws("lambda").get_policy(FunctionName=alias, Qualifier="live")["Policy"])
        request = Request("lambda:InvokeFunction", alias, (("aws:SourceArn", (source,)),))
        found[function] = Use(Principal(GATEWAY), request, policy)
    return found


def scheduled(stack: Deployed) -> dict[str, Use]:
    """That each schedule's role calls its function."""
    iam, found = stack.aws("iam"), {}
    for schedule in stack.of_type("AWS::Scheduler::Schedule"):
        target = stack.aws("scheduler").get_schedule(Name=stack.names[schedule])["Target"]
        role = target["RoleArn"].rpartition("/")[2]
        identity = [
            iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        ]
        found[schedule] = Use(Principal(target["RoleArn"], identity), Request("lambda:InvokeFunction", target["Arn"]))
    return found


def uses(stack: Deployed) -> dict[str, Use]:
    return {
        f"{kind} {name}": use
        for kind, found in (("assume", assumed), ("request", requested), ("schedule", scheduled))
        for name, use in found(stack).items()
    }


def test_every_use_is_allowed_and_none_without_the_statement_that_it_stands_on(
    deployed: Deployed, asked: Simulator
) -> None:
    found = uses(deployed)
    assert len(found) == 26 + 16 + 2
    for name, use in found.items():
        assert use.allowed(asked), name
        without = list(use.without())
        assert without, name
        assert not [less for less in without if less.allowed(asked)], name


def test_every_permission_is_of_a_use(deployed: Deployed) -> None:
    permissions = {one["FunctionName"]["Ref"] for one in deployed.of_type("AWS::Lambda::Permission").values()}
    assert permissions == {f"{function}Aliaslive" for function in requested(deployed)}
    assert len(deployed.of_type("AWS::Lambda::Permission")) == len(permissions)


@pytest.mark.parametrize("service", [GATEWAY, SCHEDULER, "events.amazonaws.com", "ec2.amazonaws.com"])
def test_no_other_service_becomes_a_role(deployed: Deployed, asked: Simulator, service: str) -> None:
    for name, use in assumed(deployed).items():
        if use.who.arn != service:
            assert not replace(use, who=Principal(service)).allowed(asked), name


@pytest.mark.parametrize(
    "source", [f"arn:aws:execute-api:{REGION}:{ACCOUNT}:another/$default/GET/api/projects", "arn:aws:s3:::a-bucket"]
)
def test_nothing_else_calls_a_routes_function(deployed: Deployed, asked: Simulator, source: str) -> None:
    for name, use in requested(deployed).items():
        request = replace(use.request, context=(("aws:SourceArn", (source,)),))
        assert not replace(use, request=request).allowed(asked), name


def test_no_route_calls_a_function_of_another_method(deployed: Deployed, asked: Simulator) -> None:
    found = requested(deployed)  # of the same it may: the star for a project's id spans what comes behind it as well
    for name, use in found.items():
        for other, another in found.items():
            if _method(another) != _method(use):
                request = replace(use.request, context=another.request.context)
                assert not replace(use, request=request).allowed(asked), f"{other} of {name}"


def _method(use: Use) -> str:
    ((_, (source,)),) = use.request.context
    return source.split("/")[2]


def test_a_schedule_calls_its_own_function_alone(deployed: Deployed, asked: Simulator) -> None:
    for name, use in scheduled(deployed).items():
        for function in deployed.of_type("AWS::Lambda::Function"):
            alias = deployed.names[f"{function}Aliaslive"]
            request = Request("lambda:InvokeFunction", alias)
            assert replace(use, request=request).allowed(asked) == (alias == use.request.resource), name


def test_no_service_is_permitted_to_call_what_is_no_route(deployed: Deployed) -> None:
    client, routes = deployed.aws("lambda"), requested(deployed)
    for function in deployed.of_type("AWS::Lambda::Function").keys() - routes.keys():
        for qualified in ({}, {"Qualifier": "live"}):
            with contextlib.suppress(client.exceptions.ResourceNotFoundException):
                policy = client.get_policy(FunctionName=deployed.names[function], **qualified)["Policy"]
                assert json.loads(policy)["Statement"] == []
