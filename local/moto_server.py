"""AWS's APIs from memory: moto's server, in a process of its own."""

import contextlib
import io
import json
import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

#: Runs a function, by its name in Lambda, with an event; answers what it returned, and whether that is an error.
type Run = Callable[[str, Any], tuple[Any, bool]]


class MotoServer:
    """Serves AWS's APIs on a free port, to this machine alone where no host is given, until it or this process ends."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        spawner = multiprocessing.get_context("spawn")
        self._connection, theirs = spawner.Pipe()
        self._invocations = Listener()
        self._process = spawner.Process(target=_serve, args=(theirs, self._invocations.address, host), daemon=True)
        self._process.start()
        theirs.close()

    def run_functions(self, run: Run) -> None:
        """Runs in this process what is invoked through Lambda's API."""

        def answer(asked: Connection) -> None:
            with asked:
                asked.send(run(*asked.recv()))

        def accept() -> None:
            while True:
                threading.Thread(target=answer, args=(self._invocations.accept(),), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def endpoint(self) -> str:
        """Its URL, once it serves."""
        host, port = self._connection.recv()
        return f"http://{host}:{port}"

    def end(self) -> None:
        self._process.kill()


def one_call_at_a_time() -> None:
    """Makes moto's DynamoDB take one call after another: its tables break when two threads change them at once."""
    from moto.dynamodb.responses import DynamoHandler  # noqa: PLC0415 - only a process that serves AWS wants it

    unguarded, lock = DynamoHandler.call_action, threading.Lock()

    def guarded(handler: DynamoHandler) -> Any:
        with lock:
            return unguarded(handler)

    DynamoHandler.call_action = guarded


def list_without_bytes() -> None:
    """Makes moto list the versions of objects without a copy of all bytes of a bucket, which it is slow to free again.

    What is deleted while it is listed is left out, and not taken for an error.
    """
    from moto.s3.models import FakeKey  # noqa: PLC0415 - as above
    from moto.s3.utils import _VersionedKeyStore  # noqa: PLC0415 - as above

    def copied(key: FakeKey, _: Any) -> FakeKey:
        listed = FakeKey.__new__(FakeKey)
        known = {"_etag": key.etag.strip('"'), "_value_buffer": io.BytesIO(), "multipart": None, "disposed": True}
        listed.__dict__ |= key.__dict__ | known
        return listed

    def lists(store: _VersionedKeyStore) -> Iterator[tuple[str, list[Any]]]:
        return ((name, versions) for name in dict(store) if (versions := store.getlist(name)))

    FakeKey.__deepcopy__ = copied
    _VersionedKeyStore.iterlists = lists


def _invoke_through(address: Any) -> None:
    """Makes moto's Lambda run functions where ``address`` leads, for which it would want Docker."""
    from moto.awslambda.models import LambdaFunction  # noqa: PLC0415 - as above

    def invoke(function: LambdaFunction, body: str, _: Any, response_headers: dict[str, str]) -> bytes:
        with Client(address) as asked:
            asked.send((function.function_name, json.loads(body or "{}")))
            answer, failed = asked.recv()
        if failed:
            response_headers["x-amz-function-error"] = "Unhandled"
        return json.dumps(answer).encode()

    LambdaFunction.invoke = invoke


def _serve(connection: Connection, invocations: Any, host: str) -> None:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - only this process wants it

    one_call_at_a_time()
    list_without_bytes()
    _invoke_through(invocations)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other process's to act on
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=host, port=0, verbose=False)
    server.start()
    connection.send(server.get_host_and_port())
    with contextlib.suppress(EOFError):
        connection.recv()  # nothing comes; it ends when the other process does
