"""Enforcement of the IAM permissions of the functions' roles, as the deployed stack grants them.

Before a function's call to AWS is sent, the IAM simulator evaluates it with the policies of the function's role. A
denied call fails as it does on AWS. The allowed requests are recorded, and show the tests which permissions are needed.
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

from local.deployment import read_resolved_properties
from local.stack import Function, Stack
from projects_api.storage import clients
from tests.support.iam_requests import IamRequest, bucket_arn, build_iam_requests, missing_object_request, queue_arn
from tests.support.iam_simulator import Policy, Principal, Simulator, start_simulator

#: The AWS managed policy that every function's role has, AWSLambdaBasicExecutionRole.
LOGS: Policy = json.loads(aws_managed_policies_data)["AWSLambdaBasicExecutionRole"]["Document"]

#: The function that makes the current call.
_acting: contextvars.ContextVar[str | None] = contextvars.ContextVar("acting", default=None)

#: The ids in a request. Requests that differ only in them are the same to every policy.
_IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16}|\d+|(?<=EMAIL#).*")


class DeniedError(Exception):
    """A function made calls that its role does not permit."""


@dataclass(slots=True)
class Enforcement:
    """The functions' roles, and the requests they have made.

    Attributes:
        simulator: Evaluates the requests.
        roles: The role of each function.
        requests: One allowed request of each kind, by function and by the request without its ids.
    """

    simulator: Simulator
    roles: dict[str, Principal]
    requests: dict[str, dict[str, IamRequest]] = field(default_factory=lambda: defaultdict(dict))
    _denied: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @contextlib.contextmanager
    def acting_as(self, function: str) -> Iterator[None]:
        """Make the calls in the block on behalf of a function.

        Raises:
            DeniedError: At the end of the block, if a call was denied.
        """
        token = _acting.set(function)
        try:
            yield
        finally:
            _acting.reset(token)
        if denied := self._denied.pop(function, None):
            raise DeniedError(f"{function} may not: " + "; ".join(sorted(denied)))

    def permits(self, function: str, request: IamRequest) -> bool:
        """Return whether a function's role permits a request, and record the request."""
        shape = _IDS.sub("0", str(request))
        if shape not in self.requests[function]:
            (allowed,) = self.simulator.evaluate(self.roles[function], [request])
            if not allowed:
                self._denied[function].add(str(request))
                return False
            self.requests[function][shape] = request
        return True

    def before_call(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        """Check a call, or a URL to be presigned. botocore calls this with the parameters."""
        context["bucket"] = params.get("Bucket")
        if params.get("Key") != "-":  # the placeholder in a URL that only serves to find the bucket's host
            self._check(model.name, build_iam_requests(model.service_model.service_name, model.name, params))

    def before_read(self, request: Any, **_: Any) -> None:
        """Check a GetObject request. The requests that are signed without a botocore client arrive here as well."""
        url = urlsplit(request.url)
        bucket, path = url.netloc.partition(".")[0], url.path[1:]
        if bucket == "s3" or url.hostname == "127.0.0.1":  # path-style addressing
            bucket, _, path = path.partition("/")
        self._check("GetObject", build_iam_requests("s3", "GetObject", {"Bucket": bucket, "Key": unquote(path)}))

    def after_call(self, parsed: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        """Check a response. S3 reveals that an object does not exist only to a caller who may list the bucket.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html ("Permissions")
        """
        if parsed.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
            self._check(model.name, [missing_object_request(context["bucket"])])

    def _check(self, operation: str, requests: Iterable[IamRequest]) -> None:
        function = _acting.get()
        if function and not all(self.permits(function, request) for request in requests):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "No policy allows it."}}, operation)


@contextlib.contextmanager
def enforce_permissions(stack: Stack, patch: pytest.MonkeyPatch) -> Iterator[Enforcement]:
    """Enforce the policies of the stack's roles on the clients that are created in the block."""
    _propagate_context(patch)
    for client in (clients.session, clients.dynamodb, clients.events, clients.s3, clients.sqs):
        client.cache_clear()
    with start_simulator() as simulator:
        simulator.resource_policies = _read_resource_policies()
        iam = boto3.client("iam")
        roles = {name: _read_role(iam, function) for name, function in stack.functions.items()}
        enforcement = Enforcement(simulator, roles)
        for event, listener in (
            ("provide-client-params", enforcement.before_call),
            ("before-send.s3.GetObject", enforcement.before_read),
            ("after-call.s3", enforcement.after_call),
        ):
            clients.session().register(event, cast("Any", listener))
        yield enforcement


def _propagate_context(patch: pytest.MonkeyPatch) -> None:
    """Make the threads that a function starts act as the function."""
    submit, start = ThreadPoolExecutor.submit, threading.Thread.start

    def submit_with_context(pool: ThreadPoolExecutor, work: Any, /, *args: Any, **options: Any) -> Any:
        return submit(pool, contextvars.copy_context().run, work, *args, **options)

    def start_with_context(thread: threading.Thread) -> None:
        thread.run = partial(contextvars.copy_context().run, thread.run)  # type: ignore[method-assign]  # of this thread only
        start(thread)

    patch.setattr(ThreadPoolExecutor, "submit", submit_with_context)
    patch.setattr(threading.Thread, "start", start_with_context)


def _read_role(iam: Any, function: Function) -> Principal:
    """Return a function's role, with its policies as they were created."""
    name = function.role.rpartition("/")[2]
    role = iam.get_role(RoleName=name)["Role"]
    inline = [
        ast.literal_eval(str(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]))
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
    ]
    boundary = iam.get_policy_version(PolicyArn=role["PermissionsBoundary"]["PermissionsBoundaryArn"], VersionId="v1")
    return Principal(role["Arn"], [LOGS, *inline], [cast("Policy", boundary["PolicyVersion"]["Document"])])


def _read_resource_policies() -> dict[str, Policy]:
    """Return the policies of the buckets and the queues, by ARN."""
    policies: dict[str, Policy] = {}
    for properties in read_resolved_properties().values():
        if "PolicyDocument" in properties:
            arns = [queue_arn(url) for url in properties.get("Queues", [])] or [bucket_arn(properties["Bucket"])]
            policies |= dict.fromkeys(arns, properties["PolicyDocument"])
    return policies
