"""AWS's APIs from memory: moto's server, in a process of its own."""

import contextlib
import logging
import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any


class Aws:
    """Serves AWS's APIs on a free port of 127.0.0.1, until it is ended or this process is."""

    def __init__(self) -> None:
        spawner = multiprocessing.get_context("spawn")
        self._connection, theirs = spawner.Pipe()
        self._process = spawner.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def endpoint(self) -> str:
        """Its URL, once it serves."""
        host, port = self._connection.recv()
        return f"http://{host}:{port}"

    def end(self) -> None:
        self._process.kill()


def one_call_at_a_time() -> None:
    """Has moto's DynamoDB take one call after another: its tables break when two threads change them at once."""
    from moto.dynamodb.responses import DynamoHandler  # noqa: PLC0415 - only a process that serves AWS wants it

    unguarded, lock = DynamoHandler.call_action, threading.Lock()

    def guarded(handler: DynamoHandler) -> Any:
        with lock:
            return unguarded(handler)

    DynamoHandler.call_action = guarded


def _serve(connection: Connection) -> None:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - only this process wants it

    one_call_at_a_time()

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the other process's to act on
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    connection.send(server.get_host_and_port())
    with contextlib.suppress(EOFError):
        connection.recv()  # nothing comes; it ends when the other process does
