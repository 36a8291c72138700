"""The in-process app: the whole stack in this process, with AWS in memory and the real handlers.

SAM CLI's gateway routes the requests. A test decides when messages in the queues are processed.
"""

import contextlib
import functools
import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import boto3
import flask
import pytest
from botocore import useragent
from botocore.config import Config
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.core.request import Request
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import FakeDeleteMarker, s3_backends
from moto.sqs.models import sqs_backends

from local.deployment import deploy, prepare_table
from local.function_runner import Context, FunctionError, load_app
from local.gateway import create_app
from local.moto_caches import patch_speed
from local.moto_server import patch_copied_checksums, patch_dynamodb_locking, patch_multipart_uploads
from local.moto_transactions import patch_transactions
from local.queue_poller import sqs_record
from local.stack import REGION, Stack
from projects_api.entities.clock import now
from projects_api.storage.s3 import bucket_cleanup
from tests.support.api_client import Client, Response
from tests.support.iam_enforcement import Enforcement, enforce_permissions
from tests.support.invariants import find_broken_invariants

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "POWERTOOLS_SERVICE_NAME": "projects",
    "POWERTOOLS_METRICS_NAMESPACE": "ProjectsApi",
    "POWERTOOLS_DEV": "false",
}

QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:queue"


def _is_in_this_process(service: str) -> bool:
    """Return whether moto in this process is the engine of a service, whose state can be read without a request."""
    return not {"AWS_ENDPOINT_URL", f"AWS_ENDPOINT_URL_{service}"} & os.environ.keys()


@dataclass
class InProcessApp:
    """The stack, with the operations that tests need in addition to requests.

    Attributes:
        stack: The names and properties of the deployed resources.
        handlers: The handler of each function.
        enforcement: The enforcement of IAM permissions, or None without it.
        wsgi: The gateway, or None if the app takes no requests.
    """

    stack: Stack
    handlers: dict[str, Callable[[Any, Any], Any]]
    enforcement: Enforcement | None = None
    wsgi: flask.Flask | None = None
    _listeners: dict[str, str] = field(default_factory=dict)

    # cached, because creating a client takes longer than most calls

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
        """Invoke a function and return its result. As on Lambda, the event and the result are converted to JSON."""
        function = self.stack.functions[name]
        context = Context(name, function.memory, deadline=float("inf"))
        context.get_remaining_time_in_millis = lambda: function.timeout * 1000  # type: ignore[method-assign]  # of this context only
        with self.enforcement.acting_as(name) if self.enforcement else contextlib.nullcontext():
            return json.loads(json.dumps(self.handlers[name](json.loads(json.dumps(event)), context)))

    @property
    def permissions(self) -> Enforcement:
        """The enforcement of IAM permissions. The app must have been started with it."""
        assert self.enforcement
        return self.enforcement

    def invoke_for_gateway(self, name: str, event: Any) -> Any:
        """Invoke a function on behalf of the gateway.

        Raises:
            FunctionError: The function raised an exception.
        """
        try:
            return self.invoke(name, event)
        except Exception as error:
            raise FunctionError(name, type(error).__name__, str(error)) from error

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Response:
        """Send a request to the gateway."""
        assert self.wsgi
        response = self.wsgi.test_client().open(path, method=method, headers=headers, data=body)
        return Response(response.status_code, dict(response.headers), response.data, response.get_json(silent=True))

    def create_user(self, nick: str = "user", scopes: tuple[str, ...] = ("read", "write")) -> Client:
        """Register a user and create an API key for them.

        Args:
            nick: The user's name, from which the email address is made.
            scopes: The scopes of the key.

        Returns:
            A client that uses the key.
        """
        email = f"{nick}-{uuid.uuid4()}@example.com"
        user = self.invoke("RegisterUser", {"email": email, "name": nick.title()})
        key = self.invoke("CreateApiKey", {"email": email, "scopes": scopes})
        return Client(self.send, key["api_key"], user["user_id"], email)

    def publish_event(
        self, change: str, project_id: str, resource: dict[str, Any], occurred_at: str | None = None
    ) -> None:
        """Publish a resource event on the bus.

        Args:
            change: The detail type, such as `Dataset Created`.
            project_id: The project of the resource.
            resource: The resource.
            occurred_at: The time of the change, or None for now.
        """
        self.put_event(change, self.build_event(change, project_id, resource, occurred_at)["detail"])

    def build_event(
        self, change: str, project_id: str, resource: dict[str, Any], occurred_at: str | None = None
    ) -> dict[str, Any]:
        """Return a resource event as the bus delivers it. The arguments are those of `publish_event`."""
        detail = {
            "project_id": project_id,
            "occurred_at": occurred_at or datetime.now(UTC).isoformat(),
            "resource": resource,
        }
        return {"source": "mlplatform.tests", "detail-type": change, "detail": detail}

    def put_event(self, detail_type: str, detail: Any) -> None:
        """Put an event on the bus, with any detail."""
        entry = {
            "EventBusName": self.stack.bus,
            "Source": "mlplatform.tests",
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
        }
        assert self.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    def deliver(self, bodies: Sequence[Any], function: str = "RecordResource") -> list[Any]:
        """Deliver messages to a function in one batch, without the bus and the queue.

        Args:
            bodies: The body of each message. A body that is not a string is encoded as JSON.
            function: The function.

        Returns:
            The bodies of the messages that the function reports as failed.
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
        result = self.invoke(function, {"Records": [sqs_record(message, QUEUE_ARN) for message in messages]})
        return [bodies[int(failure["itemIdentifier"])] for failure in result["batchItemFailures"]]

    def listen(self) -> Callable[[], list[Any]]:
        """Subscribe to the bus.

        Returns:
            A function that returns the events published since its last call.
        """
        name = f"listener-{uuid.uuid4()}"
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = json.dumps({"source": [{"prefix": "mlplatform."}]})
        self.events.put_rule(Name=name, EventBusName=self.stack.bus, EventPattern=pattern)
        self.events.put_targets(Rule=name, EventBusName=self.stack.bus, Targets=[{"Id": "listener", "Arn": arn}])
        self._listeners[name] = url

        def receive_events() -> list[Any]:
            events: list[Any] = []
            while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                events += [json.loads(message["Body"]) for message in messages]
            return events

        return receive_events

    def remove_listeners(self) -> None:
        """Remove all subscriptions of `listen`. Each of them makes every later event take longer."""
        for name, url in self._listeners.items():
            self.events.remove_targets(Rule=name, EventBusName=self.stack.bus, Ids=["listener"])
            self.events.delete_rule(Name=name, EventBusName=self.stack.bus)
            self.sqs.delete_queue(QueueUrl=url)
        self._listeners.clear()

    def store_artifact(self, project_id: str, name: str, body: bytes, **options: Any) -> dict[str, str]:
        """Store an artifact in the bucket.

        Args:
            project_id: The project the artifact belongs to.
            name: The rest of its key.
            body: Its content.
            options: Further arguments of `PutObject`.

        Returns:
            The artifact as an event describes it.
        """
        key = f"projects/{project_id}/{name}"
        self.s3.put_object(Bucket=self.stack.artifacts, Key=key, Body=body, **{"ChecksumAlgorithm": "CRC32", **options})
        return {"key": key, "content_type": "application/octet-stream"}

    def process_queues(self) -> None:
        """Process the messages of all queues until no message can be received."""
        busy = True
        while busy:
            busy = False
            for source in self.stack.event_sources:
                for message in self._receive_messages(source.queue_url):
                    busy = True
                    result = self.invoke(source.function, {"Records": [sqs_record(message, QUEUE_ARN)]})
                    if not result["batchItemFailures"]:
                        self.sqs.delete_message(QueueUrl=source.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def _receive_messages(self, queue_url: str, **options: Any) -> list[Any]:
        if _is_in_this_process("SQS"):
            queue = sqs_backends[ACCOUNT_ID][REGION].queues[queue_url.rpartition("/")[2]]
            if not queue.messages:
                return []  # without the time of a call
        page = self.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, **options)
        return list(page.get("Messages", []))

    def resume_stalled(self, *, after: timedelta = timedelta(days=1)) -> dict[str, int]:
        """Run the recovery job as if some time had passed. After a day, the timeout of all pending work is over."""
        with pytest.MonkeyPatch.context() as patch:
            for module in ("recovery", "exports.export_recovery", "imports.import_recovery"):
                patch.setattr(f"projects_api.domain.{module}.now", lambda: now() + after)
            result: dict[str, int] = self.invoke("ResumeStalled", {})
            return result

    def take_dead_letters(self) -> list[tuple[Any, str]]:
        """Remove the events from the dead-letter queue, and return each with its reason."""
        return [
            (json.loads(message["Body"]), message["MessageAttributes"]["reason"]["StringValue"])
            for message in self._receive_dead_letters()
        ]

    def _receive_dead_letters(self) -> list[Any]:
        url = self.stack.functions["RecordResource"].environment["EVENTS_DEAD_LETTERS_URL"]
        letters: list[Any] = []
        while messages := self._receive_messages(url, MessageAttributeNames=["All"]):
            letters += messages
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return letters

    def find_items(self, *parts: str) -> list[dict[str, Any]]:
        """Return the items of the table that contain one of the strings."""
        return [item for item in self._list_items() if any(part in json.dumps(item) for part in parts)]

    def _list_items(self) -> list[dict[str, Any]]:
        if not _is_in_this_process("DYNAMODB"):
            pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.stack.table)
            return [item for page in pages for item in page["Items"]]
        # moto's serializer would take most of the time of a test
        partitions = dynamodb_backends[ACCOUNT_ID][REGION].tables[self.stack.table].items
        return [item.to_json()["Attributes"] for partition in partitions.values() for item in partition.values()]

    def find_broken_invariants(self) -> list[str]:
        """Return a sentence for each broken invariant of the table."""
        return find_broken_invariants(self.find_items(""))

    def reset(self) -> None:
        """Delete the messages, the items, the objects and the unfinished uploads.

        Later tests neither see them nor take longer: a scan reads every item, and a listing every version.
        """
        for queue in sqs_backends[ACCOUNT_ID][REGION].queues.values():
            queue._messages.clear()
            queue.pending_messages.clear()
        if not _is_in_this_process("DYNAMODB"):
            self.dynamodb.update_table(TableName=self.stack.table, DeletionProtectionEnabled=False)
            self.dynamodb.delete_table(TableName=self.stack.table)
            prepare_table(self.stack.table)
        else:
            dynamodb_backends[ACCOUNT_ID][REGION].tables[self.stack.table].items.clear()
        for bucket in (self.stack.artifacts, self.stack.exports):
            if not _is_in_this_process("S3"):
                bucket_cleanup.delete_objects(bucket, "")
                bucket_cleanup.abort_uploads(bucket, "")
            else:
                s3_backends[ACCOUNT_ID]["aws"].buckets[bucket].keys.clear()
                s3_backends[ACCOUNT_ID]["aws"].buckets[bucket].multiparts.clear()

    def find_objects(self, part: str) -> list[str]:
        """Return the keys in both buckets that contain a string: one for each version, and one for delete markers.

        A delete that is repeated leaves several markers, which is no difference.
        """
        keys: list[str] = []
        for bucket in (self.stack.artifacts, self.stack.exports):
            for versions, markers in self._list_versions(bucket):
                keys += [key for key in versions if part in key] + [key for key in set(markers) if part in key]
        return keys

    def _list_versions(self, bucket: str) -> Iterator[tuple[list[str], list[str]]]:
        """Iterate over pages: the keys of the versions, and those of the delete markers."""
        if not _is_in_this_process("S3"):
            for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                versions, markers = page.get("Versions", []), page.get("DeleteMarkers", [])
                yield [version["Key"] for version in versions], [marker["Key"] for marker in markers]
            return
        for key, entries in dict(s3_backends[ACCOUNT_ID]["aws"].buckets[bucket].keys).items():
            markers = [key for entry in entries if isinstance(entry, FakeDeleteMarker)]
            yield [key] * (len(entries) - len(markers)), markers

    def find_uploads(self, part: str) -> list[str]:
        """Return the keys of the unfinished uploads in both buckets that contain a string."""
        buckets = (self.stack.artifacts, self.stack.exports)
        uploads = [self.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) for bucket in buckets]
        return [upload["Key"] for upload in itertools.chain(*uploads) if part in upload["Key"]]


def patch_request_bodies(patch: pytest.MonkeyPatch) -> None:
    """Make moto accept a bytearray as the body of a request, as urllib3 does. moto takes it for the data of a form."""
    from_primitives = Request.from_primitives

    def from_bytes(method: str, url: str, headers: Any, body: Any = None) -> Request:
        return from_primitives(method, url, headers, bytes(body) if isinstance(body, bytearray) else body)

    patch.setattr(Request, "from_primitives", from_bytes)


@contextlib.contextmanager
def start_in_process_app(environment: dict[str, str]) -> Iterator[InProcessApp]:
    """Run the in-process app until the end of the block.

    Args:
        environment: Environment variables that name the endpoints of other engines than moto, if any.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_ENDPOINT_URL", "AWS_PROFILE"))]:
            patch.delenv(name)
        for name, value in (ENVIRONMENT | environment).items():
            patch.setenv(name, value)
        patch_dynamodb_locking()
        patch_speed()
        patch_multipart_uploads()
        patch_copied_checksums()
        patch_transactions()
        patch_request_bodies(patch)
        # botocore computes the same for each call
        sanitize = functools.cache(useragent.sanitize_user_agent_string_component)
        patch.setattr(useragent, "sanitize_user_agent_string_component", sanitize)
        with contextlib.ExitStack() as contexts:
            contexts.enter_context(mock_aws())
            stack = deploy({})
            permissions = contexts.enter_context(enforce_permissions(stack, patch))
            for function in stack.functions.values():
                for name, value in function.environment.items():
                    patch.setenv(name, value)
            handlers = {name: load_app(function.folder).handler for name, function in stack.functions.items()}
            app = InProcessApp(stack, handlers, permissions)
            app.wsgi = create_app(app.invoke_for_gateway)
            yield app
