"""The functions, run as Lambda runs them.

Each runs in processes of its own, as Lambda's execution environments are: with its own environment variables, one
event at a time, kept for the next event, and ended when one takes longer than the function's timeout. They are forked
from a process that has the libraries imported already, so that a new one takes a fraction of a second.
"""

import contextlib
import importlib.util
import json
import multiprocessing
import os
import sys
import threading
import time
import traceback
import uuid
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from local.stack import ROOT, Function

#: How many events of one function are under way at once, at most.
CONCURRENCY = 16

#: How many seconds starting an environment may take, before the function's own timeout begins, and how much longer
#: than that its answer may be on its way: the machine may be busy.
START_UP, GRACE = 60, 5

#: What every environment has imported before it is born.
LIBRARIES = [
    "botocore.session",
    "botocore.retries.standard",
    "pydantic",
    "aws_lambda_powertools",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.event_handler.openapi.dependant",
    "aws_lambda_powertools.event_handler.middlewares.openapi_validation",
    "aws_lambda_powertools.utilities.batch",
]


class FunctionError(Exception):
    """A function failed, or took longer than it may.

    Attributes:
        answer: What Lambda answers then: ``errorType`` and ``errorMessage``.
    """

    def __init__(self, function: str, kind: str, message: str) -> None:
        super().__init__(f"{function}: {kind}: {message}")
        self.answer = {"errorType": kind, "errorMessage": message}


@dataclass
class Context:
    """What a handler gets as its context; the names are Lambda's."""

    function_name: str
    memory_limit_in_mb: int
    deadline: float
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:eu-west-1:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def load_app(folder: Path) -> Any:
    """The module ``app`` of a function's folder, under a name of its own."""
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(f"functions_{folder.name}", folder / "app.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError(folder / "app.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


class Environment:
    """A process that runs one function, once it has started."""

    def __init__(self, function: Function, log: Path) -> None:
        spawner = multiprocessing.get_context("forkserver")
        self._connection, theirs = spawner.Pipe()
        self._process = spawner.Process(target=_serve, args=(function, theirs, log), daemon=True)
        self._process.start()
        theirs.close()
        self._function = function

    def start(self) -> None:
        """Waits until it can take events; one that can't is not alive."""
        try:
            if self._connection.poll(START_UP):
                self._connection.recv()
                return
        except (EOFError, OSError):
            pass
        self.end()

    def invoke(self, event: Any) -> Any:
        """What the handler returns.

        Raises:
            FunctionError: It raised, or took too long; in the latter case the environment is gone.
        """
        try:
            self._connection.send(event)
            in_time = self._connection.poll(self._function.timeout + GRACE)
            answer, error = self._connection.recv() if in_time else (None, ("Sandbox.Timedout", "it took too long"))
        except (EOFError, OSError):
            in_time, answer, error = False, None, ("Runtime.ExitError", "it died")
        if not in_time:
            self.end()
        if error:
            raise FunctionError(self._function.name, *error)
        return answer

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(function: Function, connection: Connection, log: Path) -> None:
    """What an environment does: import the handler, then call it with one event after the other."""
    output = log.open("a", buffering=1)
    os.dup2(output.fileno(), sys.stdout.fileno())
    os.dup2(output.fileno(), sys.stderr.fileno())
    os.environ.update(function.environment, AWS_LAMBDA_FUNCTION_NAME=function.name)
    sys.path.insert(0, str(ROOT / "layers" / "core"))
    handler = load_app(function.folder).handler
    connection.send(True)
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            event = connection.recv()
            context = Context(function.name, function.memory, time.monotonic() + function.timeout)
            try:
                answer, error = json.loads(json.dumps(handler(event, context))), None
            except Exception as raised:  # noqa: BLE001 - whatever a handler raises is its answer
                traceback.print_exc()
                answer, error = None, (type(raised).__name__, str(raised))
            connection.send((answer, error))


class Functions:
    """All functions of a stack.

    An event runs in an environment that is idle, or is the first to become so. Where none is idle another is started,
    but one at a time of each function: a start takes more of the machine than answering ten requests.
    """

    def __init__(self, functions: dict[str, Function], log: Path) -> None:
        multiprocessing.get_context("forkserver").set_forkserver_preload(LIBRARIES)
        self._functions = functions
        self._log = log
        self._idle: dict[str, list[Environment]] = {name: [] for name in functions}
        self._all: dict[str, set[Environment]] = {name: set() for name in functions}
        self._starting: set[str] = set()
        self._changed = threading.Condition()

    def invoke(self, name: str, event: Any) -> Any:
        """What the function's handler returns for an event.

        Raises:
            FunctionError: It raised, or took too long.
        """
        environment = self._take(name) or self._start(name)
        try:
            return environment.invoke(event)
        finally:
            self._give_back(name, environment)

    def run(self, deployed_as: str, event: Any) -> tuple[Any, bool]:
        """What Lambda's API answers for a function by its name there, and whether that is an error."""
        (name,) = (name for name, function in self._functions.items() if function.deployed_as == deployed_as)
        try:
            return self.invoke(name, event), False
        except FunctionError as error:
            return error.answer, True

    def _take(self, name: str) -> Environment | None:
        """An environment that is idle; or none, and one is to be started."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle[name] or self._may_start(name))
            if self._idle[name]:
                return self._idle[name].pop()
            self._starting.add(name)
            return None

    def _may_start(self, name: str) -> bool:
        return name not in self._starting and len(self._all[name]) < CONCURRENCY

    def _start(self, name: str) -> Environment:
        try:
            environment = Environment(self._functions[name], self._log)
            self._all[name].add(environment)
            environment.start()
        finally:
            with self._changed:
                self._starting.discard(name)
                self._changed.notify_all()
        return environment

    def _give_back(self, name: str, environment: Environment) -> None:
        with self._changed:
            if environment.alive:
                self._idle[name].append(environment)
            else:
                self._all[name].discard(environment)
            self._changed.notify_all()

    def end(self) -> None:
        for environments in self._all.values():
            for environment in list(environments):
                environment.end()
