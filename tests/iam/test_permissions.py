"""Each function has the permissions that it uses, and no other.

Everything that the functions ever do is done once, each under the policies of its own role, as the stack was created.
Then each permission is taken away in turn, and something that was done must be denied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from local.deployment import resolved_outputs
from local.template import load_template
from tests.support.iam_enforcement import Enforcement
from tests.support.iam_requests import Request, bucket_arn, bus_arn, dynamodb, object_arn, queue_arn
from tests.support.iam_simulator import Policy, Principal
from tests.support.iam_tour import tour
from tests.support.in_process_app import InProcessApp

FUNCTIONS = [name for name, one in load_template()["Resources"].items() if one["Type"] == "AWS::Serverless::Function"]
ID = "0a0b0c0d-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def toured(session_app: InProcessApp) -> Enforcement:
    """The permissions, after everything has been done."""
    session_app.permissions.asked.clear()
    tour(session_app)
    session_app.forget()
    return session_app.permissions


def without_one(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """The policy without each of its permissions in turn: an action, or one resource or partition key of an action."""
    single = [
        statement | {"Action": action} for statement in policy["Statement"] for action in _listed(statement["Action"])
    ]
    for number, statement in enumerate(single):
        for what, less in _lessened(statement):
            rest = [*single[:number], *less, *single[number + 1 :]]
            yield f"{statement['Action']}{what}", policy | {"Statement": rest}


def _lessened(statement: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    yield "", []
    resources = _listed(statement["Resource"])
    for resource in resources if len(resources) > 1 else []:
        yield f" on {resource}", [statement | {"Resource": [one for one in resources if one != resource]}]
    for operator, condition in statement.get("Condition", {}).items():
        for key, values in condition.items():
            for value in values if len(values) > 1 else []:
                rest = {operator: {key: [one for one in values if one != value]}}
                yield f" of {value}", [statement | {"Condition": rest}]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_needs_each_of_its_permissions(toured: Enforcement, function: str) -> None:
    role, asked = toured.roles[function], list(toured.asked[function].values())
    assert all(toured.simulator.allowed(role, asked))
    unused = []
    for place, policy in enumerate(role.identity[1:], 1):
        for what, less in without_one(policy):
            policies = [*role.identity[:place], less, *role.identity[place + 1 :]]
            if all(toured.simulator.allowed(replace(role, identity=policies), asked)):
                unused.append(what)
    assert unused == []


def test_every_statement_of_the_boundary_is_needed_by_a_function(toured: Enforcement) -> None:
    ((boundary,),) = {tuple(map(repr, role.boundary or ())) for role in toured.roles.values()}
    (policy,) = next(iter(toured.roles.values())).boundary or ()
    assert repr(policy) == boundary
    for number, statement in enumerate(policy["Statement"]):
        less = policy | {"Statement": [*policy["Statement"][:number], *policy["Statement"][number + 1 :]]}
        answers = [
            toured.simulator.allowed(replace(role, boundary=[less]), list(toured.asked[name].values()))
            for name, role in toured.roles.items()
        ]
        assert not all(map(all, answers)), statement


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_boundary_alone_keeps_a_function_out_of_the_logs_of_others(toured: Enforcement, function: str) -> None:
    stream = "arn:aws:logs:eu-west-1:123456789012:log-group:another:log-stream:s"
    asked, role = [Request("logs:PutLogEvents", stream)], toured.roles[function]
    assert toured.simulator.allowed(role, asked) == [False]
    assert toured.simulator.allowed(replace(role, boundary=None), asked) == [True]


def denied(app: InProcessApp) -> Iterator[tuple[str, Request]]:  # noqa: C901, PLR0912 - a table
    """Requests that are like those that a function makes, but not its business."""
    stack, table = app.stack, app.stack.table
    project, user, key = f"PROJECT#{ID}", f"USER#{ID}", "APIKEY#0123456789abcdef"
    artifact, archive = object_arn(stack.artifacts, f"projects/{ID}/a"), object_arn(stack.exports, f"{ID}/e.zip")
    queues = {source.function: queue_arn(source.queue_url) for source in stack.sources}
    reads = ("GetItem", "BatchGetItem", "Query")
    for function in FUNCTIONS:
        for action in ("Scan", "DeleteTable", "PartiQLSelect"):
            yield function, Request(f"dynamodb:{action}", dynamodb("GetItem", table, []).resource)
        yield function, dynamodb("GetItem", "another-table", [project])
        yield function, Request("s3:GetObject", object_arn("another-bucket", f"projects/{ID}/a"))
        yield function, Request("s3:PutObject", artifact)
        yield function, Request("s3:DeleteObject", artifact)
        yield function, Request("s3:GetObject", object_arn(stack.artifacts, "elsewhere/a"))
        yield function, Request("s3:PutBucketPolicy", bucket_arn(stack.exports))
        yield function, Request("sqs:SendMessage", queue_arn("another-queue"))
        yield function, Request("sqs:PurgeQueue", queue_arn("projects-exports"))
        yield function, Request("events:PutEvents", bus_arn("another-bus"))
        yield function, Request("lambda:InvokeFunction", f"arn:aws:lambda:eu-west-1:123456789012:function:{function}")
        yield function, Request("logs:CreateLogGroup", "arn:aws:logs:eu-west-1:123456789012:log-group:another")
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            yield function, Request(action, "arn:aws:logs:eu-west-1:123456789012:log-group:another:log-stream:s")
        for worker, queue in queues.items():
            if function != worker:
                for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage"):
                    yield function, Request(action, queue)
        if function not in {"Authorize", "CreateApiKey", "RevokeApiKey"}:
            for action in (*reads, "PutItem", "UpdateItem", "DeleteItem"):
                yield function, dynamodb(action, table, [key])
        if function != "AssembleExport":
            yield function, Request("s3:GetObject", artifact)
            yield function, Request("s3:PutObject", archive)
            yield function, Request("events:PutEvents", bus_arn(stack.bus))
        if function not in {"AssembleExport", "PurgeProject"}:
            yield function, Request("s3:DeleteObjectVersion", archive)
        if function not in {"AssembleExport", "GetArchive", "PurgeProject", "StartExport"}:
            yield function, Request("s3:ListBucket", bucket_arn(stack.exports))
    for function in ("Authorize", "RegisterUser", "CreateApiKey", "RevokeApiKey"):
        for action in (*reads, "PutItem", "UpdateItem", "DeleteItem"):
            yield function, dynamodb(action, table, [project])
    for function in ("GetProject", "UpdateProject", "GetTimeline", "ListMembers", "GetExport", "ListExports"):
        for action in (*reads, "PutItem", "DeleteItem"):
            yield function, dynamodb(action, table, [user])
    # one partition that is a function's business does not make another so
    yield "GetProject", dynamodb("BatchGetItem", table, [project, user])
    yield "GetProject", dynamodb("BatchGetItem", table, [project, key])
    yield "AddMember", dynamodb("BatchGetItem", table, [project, "EMAIL#a@example.com", key])
    yield "RecordResource", dynamodb("UpdateItem", table, [project, user])
    yield "ScheduleExports", dynamodb("Query", table, ["PURGE#0"], "pending_work")
    yield "ResumeStalled", dynamodb("Query", table, ["DUE#0"], "pending_work")
    yield "GetTimeline", dynamodb("Query", table, [project], "pending_work")


def test_what_is_not_a_functions_business_is_denied_to_it(app: InProcessApp) -> None:
    permissions = app.permissions
    requests = list(denied(app))
    assert len(requests) > 500
    granted = []
    for function in FUNCTIONS:
        asked = [request for name, request in requests if name == function]
        answers = permissions.simulator.allowed(permissions.roles[function], asked)
        granted += [f"{function}: {request}" for request, allowed in zip(asked, answers, strict=True) if allowed]
    assert granted == []


def test_nothing_is_answered_to_who_comes_without_tls(app: InProcessApp) -> None:
    simulator, stack = app.permissions.simulator, app.stack
    everything = Principal("arn:aws:iam::123456789012:role/operator", [_allowing("s3:*"), _allowing("sqs:*")])
    queues = [queue_arn(url) for one in resolved_outputs().values() for url in one.get("Queues", [])]
    assert len(queues) == 6
    requests = [Request("s3:ListBucket", bucket_arn(bucket)) for bucket in (stack.artifacts, stack.exports)]
    requests += [Request("s3:GetObject", object_arn(bucket, "k")) for bucket in (stack.artifacts, stack.exports)]
    requests += [Request("sqs:SendMessage", queue) for queue in queues]
    assert all(simulator.allowed(everything, requests))
    assert not any(simulator.allowed(everything, requests, secure=False))


def _allowing(action: str) -> Policy:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


@pytest.mark.parametrize("queue", ["projects-events", "projects-events-dead-letters"])
def test_the_stacks_own_rule_alone_may_send_to_the_events_queues(app: InProcessApp, queue: str) -> None:
    simulator, rule = app.permissions.simulator, "arn:aws:events:eu-west-1:123456789012:rule/projects/"
    (own,) = simulator.resource_policies[queue_arn(queue)]["Statement"][0]["Condition"]["ArnEquals"].values()
    assert own.startswith(rule)
    bus = Principal("events.amazonaws.com")
    for source, allowed in ((own, True), (f"{rule}another", False)):
        asked = Request("sqs:SendMessage", queue_arn(queue), (("aws:SourceArn", (source,)),))
        assert simulator.allowed(bus, [asked]) == [allowed]
