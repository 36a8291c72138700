"""The whole stack in this process: AWS from memory, SAM CLI's gateway, the real handlers, queues worked off at will."""

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import boto3
import flask
import pytest
from botocore.config import Config
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

from local.deployment import deploy, prepare_table
from local.function_runner import Context, FunctionError, load_app
from local.gateway import create_app
from local.moto_server import one_call_at_a_time
from local.queue_poller import sqs_record
from local.stack import REGION, Stack
from projects_api.entities.clock import now
from tests.support.api_client import Answer, Client
from tests.support.iam_enforcement import Enforcement, enforced
from tests.support.invariants import broken_invariants

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "POWERTOOLS_SERVICE_NAME": "projects",
    "POWERTOOLS_METRICS_NAMESPACE": "ProjectsApi",
    "POWERTOOLS_DEV": "false",
}

QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:queue"


@dataclass
class InProcessApp:
    """The stack, and what tests do with it beside requests."""

    stack: Stack
    handlers: dict[str, Callable[[Any, Any], Any]]
    enforcement: Enforcement | None = None
    wsgi: flask.Flask | None = None

    # a client takes longer to make than most calls take

    @cached_property
    def dynamodb(self) -> Any:
        return boto3.client("dynamodb")

    @cached_property
    def events(self) -> Any:
        return boto3.client("events")

    @cached_property
    def s3(self) -> Any:
        return boto3.client("s3", config=Config(max_pool_connections=32))

    @cached_property
    def sqs(self) -> Any:
        return boto3.client("sqs")

    def invoke(self, name: str, event: Any) -> Any:
        """What a function answers; as on Lambda, it and its event go through JSON."""
        function = self.stack.functions[name]
        context = Context(name, function.memory, deadline=float("inf"))
        context.get_remaining_time_in_millis = lambda: function.timeout * 1000  # type: ignore[method-assign]  # of this context alone
        with self.enforcement.acting_as(name) if self.enforcement else contextlib.nullcontext():
            return json.loads(json.dumps(self.handlers[name](json.loads(json.dumps(event)), context)))

    @property
    def permissions(self) -> Enforcement:
        """What the functions may do, where that is enforced."""
        assert self.enforcement
        return self.enforcement

    def run(self, name: str, event: Any) -> Any:
        """``invoke`` for the gateway, to which a function that raises is one that failed.

        Raises:
            FunctionError: It raised.
        """
        try:
            return self.invoke(name, event)
        except Exception as error:
            raise FunctionError(name, type(error).__name__, str(error)) from error

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        assert self.wsgi
        response = self.wsgi.test_client().open(path, method=method, headers=headers, data=body)
        return Answer(response.status_code, dict(response.headers), response.data, response.get_json(silent=True))

    def user(self, nick: str = "user", scopes: tuple[str, ...] = ("read", "write")) -> Client:
        """A new user with a key."""
        email = f"{nick}-{uuid.uuid4()}@example.com"
        user = self.invoke("RegisterUser", {"email": email, "name": nick.title()})
        key = self.invoke("CreateApiKey", {"email": email, "scopes": scopes})
        return Client(self.send, key["api_key"], user["user_id"], email)

    def announce(self, change: str, project_id: str, resource: dict[str, Any], occurred_at: str | None = None) -> None:
        """Puts an event on the bus, as ``Dataset Created``."""
        self.put_event(change, self.event(change, project_id, resource, occurred_at)["detail"])

    def event(
        self, change: str, project_id: str, resource: dict[str, Any], occurred_at: str | None = None
    ) -> dict[str, Any]:
        """An event as the bus delivers it."""
        detail = {
            "project_id": project_id,
            "occurred_at": occurred_at or datetime.now(UTC).isoformat(),
            "resource": resource,
        }
        return {"source": "mlplatform.tests", "detail-type": change, "detail": detail}

    def put_event(self, detail_type: str, detail: Any) -> None:
        entry = {
            "EventBusName": self.stack.bus,
            "Source": "mlplatform.tests",
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
        }
        assert self.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def deliver(self, bodies: Sequence[Any], function: str = "RecordResource") -> list[Any]:
        """Hands messages to a function past bus and queue, in one batch; returns those that it wants again.

        A text is handed over as it is, and anything else as JSON.
        """
        messages = [
            {
                "MessageId": str(number),
                "ReceiptHandle": "",
                "Body": body if isinstance(body, str) else json.dumps(body),
                "MD5OfBody": "",
            }
            for number, body in enumerate(bodies)
        ]
        answer = self.invoke(function, {"Records": [sqs_record(one, QUEUE_ARN) for one in messages]})
        return [bodies[int(one["itemIdentifier"])] for one in answer["batchItemFailures"]]

    def listen(self) -> Callable[[], list[Any]]:
        """Listens on the bus from now on. Returns what gives the events that were heard."""
        name = f"listener-{uuid.uuid4()}"
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = json.dumps({"source": [{"prefix": "mlplatform."}]})
        self.events.put_rule(Name=name, EventBusName=self.stack.bus, EventPattern=pattern)
        self.events.put_targets(Rule=name, EventBusName=self.stack.bus, Targets=[{"Id": "listener", "Arn": arn}])

        def heard() -> list[Any]:
            found: list[Any] = []
            while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                found += [json.loads(message["Body"]) for message in messages]
            return found

        return heard

    def store(self, project_id: str, name: str, body: bytes, **more: Any) -> dict[str, str]:
        """Puts an artifact into the bucket; returns how an event names it."""
        key = f"projects/{project_id}/{name}"
        self.s3.put_object(Bucket=self.stack.artifacts, Key=key, Body=body, **{"ChecksumAlgorithm": "CRC32", **more})
        return {"key": key, "content_type": "application/octet-stream"}

    def process_queues(self) -> None:
        """Has the functions work off all queues, until there is nothing that can be received."""
        busy = True
        while busy:
            busy = False
            for source in self.stack.sources:
                for message in self.sqs.receive_message(QueueUrl=source.queue_url, MaxNumberOfMessages=10).get(
                    "Messages", []
                ):
                    busy = True
                    answer = self.invoke(source.function, {"Records": [sqs_record(message, QUEUE_ARN)]})
                    if not answer["batchItemFailures"]:
                        self.sqs.delete_message(QueueUrl=source.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def resume_stalled(self) -> dict[str, int]:
        """Has stalled work resumed as it will be in a quarter of an hour, when no message is waited for any more."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("projects_api.domain.exports.recovery.now", lambda: now() + timedelta(minutes=15))
            answer: dict[str, int] = self.invoke("ResumeStalled", {})
            return answer

    def dead_letters(self) -> list[tuple[Any, str]]:
        """The events put aside since the last look, each with its reason."""
        return [
            (json.loads(message["Body"]), message["MessageAttributes"]["reason"]["StringValue"])
            for message in self._take_dead_letters()
        ]

    def _take_dead_letters(self) -> list[Any]:
        url = self.stack.functions["RecordResource"].environment["EVENTS_DEAD_LETTERS_URL"]
        taken: list[Any] = []
        while messages := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            taken += messages
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def items(self, *parts: str) -> list[dict[str, Any]]:
        """The items of the table in which one of ``parts`` occurs."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.stack.table)
        return [item for page in pages for item in page["Items"] if any(part in json.dumps(item) for part in parts)]

    def broken_invariants(self) -> list[str]:
        """What is wrong with the table, in words."""
        return broken_invariants(self.items(""))

    def forget(self) -> None:
        """Takes away dead letters, items, which moto copies in each transaction, and what objects moto keeps."""
        self._take_dead_letters()
        if "AWS_ENDPOINT_URL_DYNAMODB" in os.environ:
            self.dynamodb.update_table(TableName=self.stack.table, DeletionProtectionEnabled=False)
            self.dynamodb.delete_table(TableName=self.stack.table)
            prepare_table(self.stack.table)
        else:
            dynamodb_backends[ACCOUNT_ID][REGION].tables[self.stack.table].items.clear()
        if "AWS_ENDPOINT_URL_S3" not in os.environ:
            for bucket in (self.stack.artifacts, self.stack.exports):
                s3_backends[ACCOUNT_ID]["aws"].buckets[bucket].keys.clear()

    def objects(self, part: str) -> list[str]:
        """The keys in both buckets, of all versions, in which ``part`` occurs."""
        keys: list[str] = []
        for bucket in (self.stack.artifacts, self.stack.exports):
            for listed in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                found = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
                keys += [one["Key"] for one in found if part in one["Key"]]
        return keys


@contextlib.contextmanager
def in_process_app(environment: dict[str, str]) -> Iterator[InProcessApp]:
    """The stack, on moto and on whatever other engines the environment variables name, until the end of the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_ENDPOINT_URL", "AWS_PROFILE"))]:
            patch.delenv(name)
        for name, value in (ENVIRONMENT | environment).items():
            patch.setenv(name, value)
        one_call_at_a_time()
        with contextlib.ExitStack() as ended:
            ended.enter_context(mock_aws())
            stack = deploy({})
            permissions = ended.enter_context(enforced(stack, patch))
            for function in stack.functions.values():
                for name, value in function.environment.items():
                    patch.setenv(name, value)
            handlers = {name: load_app(function.folder).handler for name, function in stack.functions.items()}
            made = InProcessApp(stack, handlers, permissions)
            made.wsgi = create_app(made.run)
            yield made
