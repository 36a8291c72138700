"""moto's server in a process of its own: the AWS APIs, served from memory.

The module also patches moto where it is unsuitable for a local stack: its DynamoDB is not thread-safe, it copies all
objects to list their versions, and its Lambda needs Docker. Three more modules patch its transactions, cache its
lookups and check requests.
"""

import contextlib
import io
import json
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client, Connection, Listener
from typing import Any
from urllib.parse import unquote

#: Invokes a function by its name in Lambda with an event. Returns the payload and whether it is an error.
type Invoke = Callable[[str, Any], tuple[Any, bool]]


class MotoServer:
    """A server of the AWS APIs on a free port. It runs until `stop` is called or this process ends.

    Args:
        host: The address to listen on. By default, only this machine reaches the server.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, server_connection = spawn.Pipe()
        self._invocations = Listener()
        self._process = spawn.Process(
            target=_serve, args=(server_connection, self._invocations.address, host), daemon=True
        )
        self._process.start()
        server_connection.close()

    def handle_invocations(self, invoke: Invoke) -> None:
        """Run invocations of Lambda's API in this process, each in a thread, through ``invoke``."""

        def handle(connection: Connection) -> None:
            with connection:
                connection.send(invoke(*connection.recv()))

        def accept() -> None:
            while True:
                threading.Thread(target=handle, args=(self._invocations.accept(),), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def wait_for_endpoint(self) -> str:
        """Wait until the server listens and return its URL. Can be called once.

        Raises:
            EOFError: The server's process ended before it listened.
        """
        host, port = self._connection.recv()
        return f"http://{host}:{port}"

    def wait(self) -> None:
        """Wait until the server's process has ended."""
        self._process.join()

    def stop(self) -> None:
        """Kill the server's process, and accept no more invocations."""
        self._process.kill()
        self._invocations.close()


def patch_dynamodb_locking() -> None:
    """Make moto's DynamoDB process one call at a time, because two threads corrupt its tables."""
    from moto.dynamodb.responses import DynamoHandler  # noqa: PLC0415 - only a process that serves AWS needs it

    call_action, lock = DynamoHandler.call_action, threading.Lock()

    def call_with_lock(handler: DynamoHandler) -> Any:
        with lock:
            return call_action(handler)

    DynamoHandler.call_action = call_with_lock


def patch_version_listing() -> None:
    """Make moto list the versions of objects without copying their bytes, which fills the disk.

    An object deleted while it is listed is left out. Without the patch it is an error.
    """
    from moto.s3.models import FakeKey  # noqa: PLC0415 - as above
    from moto.s3.utils import _VersionedKeyStore  # noqa: PLC0415 - as above

    def copy_without_bytes(key: FakeKey, _: Any) -> FakeKey:
        copy = FakeKey.__new__(FakeKey)
        replaced = {"_etag": key.etag.strip('"'), "_value_buffer": io.BytesIO(), "multipart": None, "disposed": True}
        copy.__dict__ |= key.__dict__ | replaced
        return copy

    def iterate_existing(store: _VersionedKeyStore) -> Iterator[tuple[str, list[Any]]]:
        return ((name, versions) for name in dict(store) if (versions := store.getlist(name)))

    FakeKey.__deepcopy__ = copy_without_bytes
    _VersionedKeyStore.iterlists = iterate_existing


def patch_multipart_uploads() -> None:
    """Make moto reject parts as S3 does.

    Without the patch it fails if the upload is completed or aborted, and ignores ``x-amz-copy-source-if-match``.
    """
    from moto.s3.exceptions import NoSuchUpload, PreconditionFailed  # noqa: PLC0415 - as above
    from moto.s3.models import S3Backend  # noqa: PLC0415 - as above
    from moto.s3.responses import S3Response  # noqa: PLC0415 - as above

    upload_part, copy_part = S3Backend.upload_part, S3Response.upload_part_copy

    def upload_existing_part(
        backend: S3Backend, bucket_name: str, multipart_id: str, part_id: int, value: bytes
    ) -> Any:
        if multipart_id not in backend.get_bucket(bucket_name).multiparts:
            raise NoSuchUpload(upload_id=multipart_id)
        return upload_part(backend, bucket_name, multipart_id, part_id, value)

    def copy_matching_part(response: S3Response) -> Any:
        if etag := response.headers.get("x-amz-copy-source-if-match"):
            bucket, _, key = unquote(response.headers["x-amz-copy-source"]).lstrip("/").partition("/")
            source = response.backend.get_object(bucket, key)
            if source and source.etag != etag:
                raise PreconditionFailed("x-amz-copy-source-If-Match")
        return copy_part(response)

    S3Backend.upload_part = upload_existing_part
    S3Response.upload_part_copy = copy_matching_part


def patch_copied_checksums() -> None:
    """Make moto compute the checksum of a copied object, as S3 does, if the source has one for each of its parts.

    Without the patch the copy keeps the checksum of these checksums, without the type that tells what it is.
    """
    from moto.s3.models import FakeKey, S3Backend  # noqa: PLC0415 - as above
    from moto.s3.utils import compute_checksum  # noqa: PLC0415 - as above

    copy_object = S3Backend.copy_object

    def copy_and_compute(
        backend: S3Backend, src_key: FakeKey, bucket: str, key: str, *args: Any, **options: Any
    ) -> None:
        copy_object(backend, src_key, bucket, key, *args, **options)
        copy = backend.get_object(bucket, key)
        if src_key.checksum_type == "COMPOSITE" and copy:
            copy.checksum_value = compute_checksum(copy.value, copy.checksum_algorithm).decode()
            copy.checksum_type = "FULL_OBJECT"

    S3Backend.copy_object = copy_and_compute


def _patch_lambda_invoke(address: Any) -> None:
    """Make moto's Lambda send invocations to the listener at ``address``. By itself it runs functions in Docker."""
    from moto.awslambda.models import LambdaFunction  # noqa: PLC0415 - as above

    def invoke(function: LambdaFunction, body: str, _: Any, response_headers: dict[str, str]) -> bytes:
        with Client(address) as connection:
            connection.send((function.function_name, json.loads(body or "{}")))
            payload, failed = connection.recv()
        if failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return json.dumps(payload).encode()

    LambdaFunction.invoke = invoke


def patch_stack_resources() -> None:
    """Make moto leave out of a stack's resources those that it can't create, each of which it records as None."""
    from moto.cloudformation.models import Stack  # noqa: PLC0415 - as above

    def list_created(stack: Stack) -> list[Any]:
        return [resource for resource in stack.resource_map.values() if resource is not None]

    Stack.stack_resources = property(list_created)


def _serve(connection: Connection, invocations_address: Any, host: str) -> None:
    """Run the server's process: serve until the parent process ends."""
    os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"  # moto would allow web pages of all origins

    from moto.core import DEFAULT_ACCOUNT_ID  # noqa: PLC0415 - only this process needs it
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - as above
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from moto.s3.models import s3_backends  # noqa: PLC0415 - as above
    from werkzeug.serving import make_server  # noqa: PLC0415 - as above

    from local.moto_caches import patch_speed  # noqa: PLC0415 - as above
    from local.moto_transactions import patch_transactions  # noqa: PLC0415 - as above
    from local.request_checks import CheckedApplication  # noqa: PLC0415 - as above

    def list_cors_rules(bucket: str) -> list[Any] | None:
        buckets = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets
        return buckets[bucket].cors if bucket in buckets else None

    patch_dynamodb_locking()
    patch_speed()
    patch_transactions()
    patch_version_listing()
    patch_multipart_uploads()
    patch_copied_checksums()
    patch_stack_resources()
    _patch_lambda_invoke(invocations_address)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = CheckedApplication(DomainDispatcherApplication(create_backend_app), list_cors_rules)
    server = make_server(host, 0, application, threaded=True, request_handler=MotoRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connection.send(server.server_address[:2])
    with contextlib.suppress(EOFError):
        connection.recv()  # the parent sends nothing: this returns when the parent ends
