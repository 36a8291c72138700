"""Has every function act with the permissions of its own role, as the deployed stack gives them.

Each call that a function makes by boto3 is put to IAM's simulator with the role's policies, before it is made; one that
is denied ends as it does on AWS. What was asked is kept: by it the tests know which permissions are needed.
"""

from __future__ import annotations

import ast
import contextlib
import contextvars
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.iam.aws_managed_policies import aws_managed_policies_data

from local.deployment import resolved_outputs
from local.stack import Function, Stack
from projects_api.storage import clients
from tests.support.iam_requests import Request, bucket_arn, missing_object, queue_arn, requests_of
from tests.support.iam_simulator import Policy, Principal, Simulator, simulator

#: AWS's policy of every function's role, AWSLambdaBasicExecutionRole.
LOGS: Policy = json.loads(aws_managed_policies_data)["AWSLambdaBasicExecutionRole"]["Document"]

#: The function on whose behalf a call is made.
_acting: contextvars.ContextVar[str | None] = contextvars.ContextVar("acting", default=None)

#: What makes two requests of one function different to no policy: whose project, which export.
_IDENTITIES = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16}|\d+|(?<=EMAIL#).*")


class DeniedError(Exception):
    """A function made calls that its role does not permit."""


@dataclass(slots=True)
class Enforcement:
    """The functions' roles, and what the functions have asked for."""

    simulator: Simulator
    roles: dict[str, Principal]
    asked: dict[str, dict[str, Request]] = field(default_factory=lambda: defaultdict(dict))
    _denied: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @contextlib.contextmanager
    def acting_as(self, function: str) -> Iterator[None]:
        """In the block, calls are the function's.

        Raises:
            DeniedError: At the end: one of them was denied.
        """
        before = _acting.set(function)
        try:
            yield
        finally:
            _acting.reset(before)
        if denied := self._denied.pop(function, None):
            raise DeniedError(f"{function} may not: " + "; ".join(sorted(denied)))

    def permits(self, function: str, request: Request) -> bool:
        """Whether a function may, which is remembered as asked for."""
        shape = _IDENTITIES.sub("0", str(request))
        if shape not in self.asked[function]:
            (allowed,) = self.simulator.allowed(self.roles[function], [request])
            if not allowed:
                self._denied[function].add(str(request))
                return False
            self.asked[function][shape] = request
        return True

    def before_call(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        """What botocore calls with every call's parameters, and with those of every URL that is signed."""
        context["bucket"] = params.get("Bucket")
        if params.get("Key") != "-":  # the URL of no object, which tells where its bucket is
            self._ask(model.name, requests_of(model.service_model.service_name, model.name, params))

    def before_read(self, request: Any, **_: Any) -> None:
        """What is called with every request of an object, as well where it was signed without botocore's client."""
        url = urlsplit(request.url)
        bucket, path = url.netloc.partition(".")[0], url.path[1:]
        if bucket == "s3" or url.hostname == "127.0.0.1":  # addressed by path
            bucket, _, path = path.partition("/")
        self._ask("GetObject", requests_of("s3", "GetObject", {"Bucket": bucket, "Key": unquote(path)}))

    def after_call(self, parsed: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        """What botocore calls with every answer; that there is no such object, S3 says to who may list the bucket."""
        if parsed.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
            self._ask(model.name, [missing_object(context["bucket"])])

    def _ask(self, operation: str, requests: Iterable[Request]) -> None:
        function = _acting.get()
        if function and not all(self.permits(function, request) for request in requests):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "No policy allows it."}}, operation)


@contextlib.contextmanager
def enforced(stack: Stack, patch: pytest.MonkeyPatch) -> Iterator[Enforcement]:
    """Enforces the policies of the stack's roles on the clients that are made in the block."""
    _carry_context(patch)
    for client in (clients.session, clients.dynamodb, clients.events, clients.s3, clients.sqs):
        client.cache_clear()
    with simulator() as asked:
        asked.resource_policies = _resource_policies()
        enforcement = Enforcement(asked, {name: _role(function) for name, function in stack.functions.items()})
        for event, listener in (
            ("provide-client-params", enforcement.before_call),
            ("before-send.s3.GetObject", enforcement.before_read),
            ("after-call.s3", enforcement.after_call),
        ):
            clients.session().register(event, cast("Any", listener))
        yield enforcement


def _carry_context(patch: pytest.MonkeyPatch) -> None:
    """Has the threads that a function starts act as the function."""
    submit, start = ThreadPoolExecutor.submit, threading.Thread.start

    def submitted(pool: ThreadPoolExecutor, work: Any, /, *args: Any, **more: Any) -> Any:
        return submit(pool, contextvars.copy_context().run, work, *args, **more)

    def started(thread: threading.Thread) -> None:
        thread.run = partial(contextvars.copy_context().run, thread.run)  # type: ignore[method-assign]  # of this thread alone
        start(thread)

    patch.setattr(ThreadPoolExecutor, "submit", submitted)
    patch.setattr(threading.Thread, "start", started)


def _role(function: Function) -> Principal:
    """A function's role, with its policies as they were created."""
    iam, name = boto3.client("iam"), function.role.rpartition("/")[2]
    role = iam.get_role(RoleName=name)["Role"]
    inline = [
        ast.literal_eval(str(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]))
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    ]
    boundary = iam.get_policy_version(PolicyArn=role["PermissionsBoundary"]["PermissionsBoundaryArn"], VersionId="v1")
    return Principal(role["Arn"], [LOGS, *inline], [cast("Policy", boundary["PolicyVersion"]["Document"])])


def _resource_policies() -> dict[str, Policy]:
    """The policies of the buckets and the queues, by ARN."""
    found: dict[str, Policy] = {}
    for properties in resolved_outputs().values():
        if "PolicyDocument" in properties:
            arns = [queue_arn(url) for url in properties.get("Queues", [])] or [bucket_arn(properties["Bucket"])]
            found |= dict.fromkeys(arns, properties["PolicyDocument"])
    return found
