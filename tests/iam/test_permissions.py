"""Least privilege: each function has the permissions that it uses, and no others.

A tour makes every request that the functions can make to AWS, each under the policies of its function's role. Then each
permission is removed in turn, and IAM must deny one of the requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from local.deployment import read_resolved_properties
from local.template import load_template
from tests.support.iam_enforcement import Enforcement
from tests.support.iam_requests import IamRequest, bucket_arn, bus_arn, dynamodb_request, object_arn, queue_arn
from tests.support.iam_simulator import Policy, Principal
from tests.support.iam_tour import use_all_permissions
from tests.support.in_process_app import InProcessApp

FUNCTIONS = [
    name for name, resource in load_template()["Resources"].items() if resource["Type"] == "AWS::Serverless::Function"
]
ID = "0a0b0c0d-0000-4000-8000-000000000000"

#: The functions that put events on the bus.
ANNOUNCERS = {
    "TransferOwnership",
    "TransferProject",
    "AssembleExport",
    "CancelExport",
    "CompleteUpload",
    "CreateProject",
    "RunImport",
    "CreateResource",
    "DeleteProject",
    "DeleteResource",
    "ResumeStalled",
    "UpdateProject",
    "UpdateResource",
}

#: The functions that read artifacts, write them, and delete their current versions.
READERS = {"AssembleExport", "CompleteUpload", "GetResource", "ResumeStalled"}
UPLOADERS = {"CompleteUpload", "CreateResource", "ListParts", "ResumeStalled", "RunImport", "UpdateResource"}
SWEEPERS = {"SweepArtifacts"}


@pytest.fixture(scope="module")
def enforcement(session_app: InProcessApp) -> Enforcement:
    """Make all requests of all functions, and return the enforcement, which recorded them."""
    session_app.permissions.requests.clear()
    use_all_permissions(session_app)
    session_app.reset()
    return session_app.permissions


def remove_each_permission(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """Yield the policy without each of its permissions in turn, and the name of this permission.

    A permission is an action, or one resource or one condition value of an action.
    """
    statements = [
        statement | {"Action": action} for statement in policy["Statement"] for action in _as_list(statement["Action"])
    ]
    for number, statement in enumerate(statements):
        for removed, replacement in _reduce_statement(statement):
            rest = [*statements[:number], *replacement, *statements[number + 1 :]]
            yield f"{statement['Action']}{removed}", policy | {"Statement": rest}


def _reduce_statement(statement: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    yield "", []
    resources = _as_list(statement["Resource"])
    for resource in resources if len(resources) > 1 else []:
        yield f" on {resource}", [statement | {"Resource": [other for other in resources if other != resource]}]
    for operator, condition in statement.get("Condition", {}).items():
        for key, values in condition.items():
            for value in values if len(values) > 1 else []:
                rest = {operator: {key: [other for other in values if other != value]}}
                yield f" of {value}", [statement | {"Condition": rest}]


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.exhaustive
@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_needs_each_permission(enforcement: Enforcement, function: str) -> None:
    role, requests = enforcement.roles[function], list(enforcement.requests[function].values())
    assert all(enforcement.simulator.evaluate(role, requests))
    unused = []
    for index, policy in enumerate(role.identity[1:], 1):
        for removed, reduced_policy in remove_each_permission(policy):
            policies = [*role.identity[:index], reduced_policy, *role.identity[index + 1 :]]
            if all(enforcement.simulator.evaluate(replace(role, identity=policies), requests)):
                unused.append(removed)
    assert unused == []


@pytest.mark.exhaustive
def test_boundary_needs_each_statement(enforcement: Enforcement) -> None:
    ((boundary,),) = {tuple(map(repr, role.boundary or ())) for role in enforcement.roles.values()}
    (policy,) = next(iter(enforcement.roles.values())).boundary or ()
    assert repr(policy) == boundary
    for number, statement in enumerate(policy["Statement"]):
        if str(statement["Action"]).startswith(("lambda:", "['kms:")):
            continue  # for the scheduler's role, and for customer-managed keys: tests/unit/test_template.py
        reduced_policy = policy | {"Statement": [*policy["Statement"][:number], *policy["Statement"][number + 1 :]]}
        decisions = [
            enforcement.simulator.evaluate(
                replace(role, boundary=[reduced_policy]), list(enforcement.requests[name].values())
            )
            for name, role in enforcement.roles.items()
        ]
        assert not all(map(all, decisions)), statement


@pytest.mark.parametrize("function", FUNCTIONS)
def test_boundary_protects_other_logs(session_app: InProcessApp, function: str) -> None:
    """The boundary denies writing to a log group of another stack, which the identity-based policies allow."""
    permissions = session_app.permissions
    stream = "arn:aws:logs:eu-west-1:123456789012:log-group:another:log-stream:s"
    requests, role = [IamRequest("logs:PutLogEvents", stream)], permissions.roles[function]
    assert permissions.simulator.evaluate(role, requests) == [False]
    assert permissions.simulator.evaluate(replace(role, boundary=None), requests) == [True]


def build_foreign_requests(app: InProcessApp) -> Iterator[tuple[str, IamRequest]]:  # noqa: C901, PLR0912 - a table
    """Yield functions with requests that they must not make, although other functions or stacks make similar ones."""
    stack, table = app.stack, app.stack.table
    project, user, key = f"PROJECT#{ID}", f"USER#{ID}", "APIKEY#0123456789abcdef"
    artifact, archive = object_arn(stack.artifacts, f"projects/{ID}/a"), object_arn(stack.exports, f"{ID}/e.zip")
    queues = {source.function: queue_arn(source.queue_url) for source in stack.event_sources}
    reads = ("GetItem", "BatchGetItem", "Query")
    for function in FUNCTIONS:
        for action in ("Scan", "DeleteTable", "PartiQLSelect"):
            yield function, IamRequest(f"dynamodb:{action}", dynamodb_request("GetItem", table, []).resource)
        yield function, dynamodb_request("GetItem", "another-table", [project])
        yield function, IamRequest("s3:GetObject", object_arn("another-bucket", f"projects/{ID}/a"))
        if function not in UPLOADERS:
            yield function, IamRequest("s3:PutObject", artifact)
        if function not in SWEEPERS:
            yield function, IamRequest("s3:DeleteObject", artifact)
        for action in ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"):
            yield function, IamRequest(action, object_arn(stack.artifacts, "elsewhere/a"))
        yield function, IamRequest("s3:GetObject", object_arn(stack.artifacts, "elsewhere/a"))
        yield function, IamRequest("s3:PutBucketPolicy", bucket_arn(stack.exports))
        yield function, IamRequest("sqs:SendMessage", queue_arn("another-queue"))
        yield function, IamRequest("sqs:PurgeQueue", queue_arn("projects-exports"))
        yield function, IamRequest("events:PutEvents", bus_arn("another-bus"))
        yield (
            function,
            IamRequest("lambda:InvokeFunction", f"arn:aws:lambda:eu-west-1:123456789012:function:{function}"),
        )
        yield function, IamRequest("logs:CreateLogGroup", "arn:aws:logs:eu-west-1:123456789012:log-group:another")
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            yield function, IamRequest(action, "arn:aws:logs:eu-west-1:123456789012:log-group:another:log-stream:s")
        for worker, queue in queues.items():
            if function != worker:
                for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage"):
                    yield function, IamRequest(action, queue)
        if function not in {"Authorize", "CreateApiKey", "RevokeApiKey", "ListApiKeys", "DeactivateUser"}:
            for action in (*reads, "PutItem", "UpdateItem", "DeleteItem"):
                yield function, dynamodb_request(action, table, [key])
        if function not in READERS:
            yield function, IamRequest("s3:GetObject", artifact)
        if function != "AssembleExport":
            yield function, IamRequest("s3:PutObject", archive)
        if function not in ANNOUNCERS:
            yield function, IamRequest("events:PutEvents", bus_arn(stack.bus))
        if function not in ANNOUNCERS - {"AssembleExport"}:
            yield function, dynamodb_request("PutItem", table, ["ANNOUNCEMENT#0"])
        if function not in {"AssembleExport", "CancelExport", "PurgeProject", "ResumeStalled"}:
            yield function, IamRequest("s3:DeleteObjectVersion", archive)
        if function not in {"AssembleExport", "GetArchive", "PurgeProject", "RunImport", "StartExport"}:
            yield function, IamRequest("s3:ListBucket", bucket_arn(stack.exports))
    for function in ("Authorize", "RegisterUser", "CreateApiKey", "RevokeApiKey"):
        for action in (*reads, "PutItem", "UpdateItem", "DeleteItem"):
            yield function, dynamodb_request(action, table, [project])
    for function in ("GetProject", "UpdateProject", "GetTimeline", "ListMembers", "GetExport", "ListExports"):
        for action in (*reads, "PutItem", "DeleteItem"):
            yield function, dynamodb_request(action, table, [user])
    # a permission for one partition does not extend to another in the same call
    yield "GetProject", dynamodb_request("BatchGetItem", table, [project, user])
    yield "GetProject", dynamodb_request("BatchGetItem", table, [project, key])
    yield "AddMember", dynamodb_request("BatchGetItem", table, [project, "EMAIL#a@example.com", key])
    yield "RecordResource", dynamodb_request("UpdateItem", table, [project, user])
    yield "ScheduleExports", dynamodb_request("Query", table, ["PURGE#0"], "pending_work")
    yield "ResumeStalled", dynamodb_request("Query", table, ["DUE#0"], "pending_work")
    yield "GetTimeline", dynamodb_request("Query", table, [project], "pending_work")


def test_foreign_requests_are_denied(app: InProcessApp) -> None:
    permissions = app.permissions
    requests = list(build_foreign_requests(app))
    assert len(requests) > 500
    allowed_requests = []
    for function in FUNCTIONS:
        own_requests = [request for name, request in requests if name == function]
        decisions = permissions.simulator.evaluate(permissions.roles[function], own_requests)
        allowed_requests += [
            f"{function}: {request}" for request, is_allowed in zip(own_requests, decisions, strict=True) if is_allowed
        ]
    assert allowed_requests == []


def test_requests_without_tls_are_denied(app: InProcessApp) -> None:
    simulator, stack = app.permissions.simulator, app.stack
    operator = Principal("arn:aws:iam::123456789012:role/operator", [_build_policy("s3:*"), _build_policy("sqs:*")])
    queues = [
        queue_arn(url) for properties in read_resolved_properties().values() for url in properties.get("Queues", [])
    ]
    assert len(queues) == 9
    requests = [IamRequest("s3:ListBucket", bucket_arn(bucket)) for bucket in (stack.artifacts, stack.exports)]
    requests += [IamRequest("s3:GetObject", object_arn(bucket, "k")) for bucket in (stack.artifacts, stack.exports)]
    requests += [IamRequest("sqs:SendMessage", queue) for queue in queues]
    assert all(simulator.evaluate(operator, requests))
    assert not any(simulator.evaluate(operator, requests, secure=False))


def _build_policy(action: str) -> Policy:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


@pytest.mark.parametrize("queue", ["projects-events", "projects-events-dead-letters"])
def test_events_queues_accept_own_rule_only(app: InProcessApp, queue: str) -> None:
    simulator, rule = app.permissions.simulator, "arn:aws:events:eu-west-1:123456789012:rule/projects/"
    (own_rule,) = simulator.resource_policies[queue_arn(queue)]["Statement"][0]["Condition"]["ArnEquals"].values()
    assert own_rule.startswith(rule)
    bus = Principal("events.amazonaws.com")
    for source, is_allowed in ((own_rule, True), (f"{rule}another", False)):
        request = IamRequest("sqs:SendMessage", queue_arn(queue), (("aws:SourceArn", (source,)),))
        assert simulator.evaluate(bus, [request]) == [is_allowed]
