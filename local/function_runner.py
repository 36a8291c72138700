"""Runner of the Lambda functions on one machine, in execution environments like Lambda's.

An execution environment is a process that runs one function, with the function's environment variables and one event
at a time. It is kept for the next event, and killed when an invocation exceeds the function's timeout. Environments are
forked from a server process that has imported the libraries, so a new one starts in a fraction of a second.

See https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html.
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
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from local.stack import ROOT, Function

#: The most execution environments of one function.
MAX_ENVIRONMENTS = 16

#: How many environments an event is given to, if their processes end before they take it.
MAX_ATTEMPTS = 4

#: How long an execution environment may take to start, in seconds. The function's timeout does not include it.
START_TIMEOUT = 60

#: How many seconds a response may take beyond the function's timeout, because the machine may be busy.
RESPONSE_GRACE = 5

#: Modules that the fork server imports before it forks execution environments.
PRELOADED_MODULES = [
    "botocore.session",
    "botocore.retries.standard",
    "pydantic",
    "aws_lambda_powertools",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.event_handler.openapi.dependant",
    "aws_lambda_powertools.event_handler.middlewares.openapi_validation",
    "aws_lambda_powertools.utilities.batch",
]


class EnvironmentDiedError(Exception):
    """The process of an execution environment ended before it took the event, so the event can run in another one."""


class FunctionError(Exception):
    """A function raised an exception, exceeded its timeout or its process ended.

    Attributes:
        response: The payload that Lambda returns for it: ``errorType`` and ``errorMessage``.
    """

    def __init__(self, function: str, kind: str, message: str) -> None:
        super().__init__(f"{function}: {kind}: {message}")
        self.response = {"errorType": kind, "errorMessage": message}


@dataclass
class Context:
    """The context object of an invocation, with Lambda's names.

    Attributes:
        function_name: The name of the function.
        memory_limit_in_mb: The memory limit of the function.
        deadline: The monotonic time at which the invocation times out.
        aws_request_id: The id of the invocation.
    """

    function_name: str
    memory_limit_in_mb: int
    deadline: float
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def invoked_function_arn(self) -> str:
        """The ARN of the function."""
        return f"arn:aws:lambda:eu-west-1:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


def load_app(folder: Path) -> Any:
    """Import ``app.py`` of a function's folder, once, under a module name of its own.

    Raises:
        FileNotFoundError: The folder has no ``app.py``.
    """
    name = f"functions_{folder.name}"
    if name in sys.modules:
        return sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(name, folder / "app.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError(folder / "app.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    finally:
        sys.path.remove(str(folder))
    return module


class ExecutionEnvironment:
    """A process that runs one function. It takes events after `wait_until_ready`.

    Args:
        function: The function.
        log_file: The file to which the function's output is appended.

    Raises:
        EnvironmentDiedError: The process could not be started.
    """

    def __init__(self, function: Function, log_file: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        self._connection, child_connection = context.Pipe()
        self._process = context.Process(
            target=_run_environment, args=(function, child_connection, log_file), daemon=True
        )
        try:
            self._process.start()
        except (EOFError, OSError) as error:  # the fork server has died; the next start finds that out, and starts one
            raise EnvironmentDiedError from error
        finally:
            child_connection.close()
        self._function = function

    def wait_until_ready(self) -> None:
        """Wait until the handler is imported. Kill the process if that fails or takes longer than ``START_TIMEOUT``."""
        try:
            if self._connection.poll(START_TIMEOUT):
                self._connection.recv()
                return
        except (EOFError, OSError):
            pass
        self.kill()

    def invoke(self, event: Any) -> Any:
        """Call the handler with an event and return its response.

        Raises:
            EnvironmentDiedError: The process ended before the handler was called.
            FunctionError: The handler raised an exception, exceeded its timeout or its process ended. After the latter
                two the environment is dead.
        """
        try:
            self._connection.send(event)
            taken = self._connection.poll(START_TIMEOUT) and self._connection.recv()
        except (EOFError, OSError):
            taken = False
        if not taken:
            self.kill()
            raise EnvironmentDiedError
        try:
            in_time = self._connection.poll(self._function.timeout + RESPONSE_GRACE)
            response, error = (
                self._connection.recv()
                if in_time
                else (None, ("Sandbox.Timedout", f"The function exceeded its timeout of {self._function.timeout} s."))
            )
        except (EOFError, OSError):
            in_time, response, error = False, None, ("Runtime.ExitError", "The function's process ended.")
        if not in_time:
            self.kill()
        if error:
            raise FunctionError(self._function.name, *error)
        return response

    @property
    def alive(self) -> bool:
        """Return whether the process is running."""
        return self._process.is_alive()

    def kill(self) -> None:
        """Kill the process and wait until it has ended."""
        self._process.kill()
        self._process.join()
        self._connection.close()  # ends the process even if it is no longer known to the fork server, which has died


def _run_environment(function: Function, connection: Connection, log_file: Path) -> None:
    """Run the process of an execution environment: import the handler, then call it with one event after another."""
    output = log_file.open("a", buffering=1)
    os.dup2(output.fileno(), sys.stdout.fileno())
    os.dup2(output.fileno(), sys.stderr.fileno())
    os.environ.update(function.environment, AWS_LAMBDA_FUNCTION_NAME=function.name)
    sys.path.insert(0, str(ROOT / "layers" / "core"))
    handler = load_app(function.folder).handler
    connection.send("ready")
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            event = connection.recv()
            connection.send(True)  # from here on, the event may have had an effect
            context = Context(function.name, function.memory, time.monotonic() + function.timeout)
            try:
                response, error = json.loads(json.dumps(handler(event, context))), None
            except Exception as exception:  # noqa: BLE001 - Lambda reports any exception of a handler to the caller
                traceback.print_exc()
                response, error = None, (type(exception).__name__, str(exception))
            connection.send((response, error))


class FunctionRunner:
    """The functions of a stack, each with its pool of execution environments.

    An event runs in the first environment that is idle. If none is idle, a new one is started, up to
    ``MAX_ENVIRONMENTS`` for each function. Each function starts one environment at a time, because a start costs as
    much as ten requests.

    Args:
        functions: The functions by logical id.
        log_file: The file to which the output of all functions is appended.
    """

    def __init__(self, functions: dict[str, Function], log_file: Path) -> None:
        multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED_MODULES)
        forkserver.ensure_running()  # before its first use, so that the caller decides which signals it ignores
        self._functions = functions
        self._log_file = log_file
        self._idle: dict[str, list[ExecutionEnvironment]] = {name: [] for name in functions}
        self._all: dict[str, set[ExecutionEnvironment]] = {name: set() for name in functions}
        self._starting: set[str] = set()
        self._changed = threading.Condition()

    def invoke(self, name: str, event: Any) -> Any:
        """Invoke a function by its logical id and return its response.

        Raises:
            FunctionError: The function failed or exceeded its timeout.
        """
        for _ in range(MAX_ATTEMPTS):
            with contextlib.suppress(EnvironmentDiedError):
                environment = self._take_idle(name) or self._start(name)
                try:
                    return environment.invoke(event)
                finally:
                    self._release(name, environment)
        raise FunctionError(name, "Runtime.ExitError", "The function's process ended before it took the event.")

    def invoke_by_physical_name(self, physical_name: str, event: Any) -> tuple[Any, bool]:
        """Invoke a function by its name in Lambda, as Lambda's API does.

        Returns:
            The payload of the response, and whether it is an error.
        """
        (name,) = (name for name, function in self._functions.items() if function.physical_name == physical_name)
        try:
            return self.invoke(name, event), False
        except FunctionError as error:
            return error.response, True

    def _take_idle(self, name: str) -> ExecutionEnvironment | None:
        """Wait for an idle environment, or return None if the caller is to start one."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._idle[name] or self._may_start(name))
                if not self._idle[name]:
                    self._starting.add(name)
                    return None
                environment = self._idle[name].pop()
                if environment.alive:
                    return environment
                self._all[name].discard(environment)
                environment.kill()

    def _may_start(self, name: str) -> bool:
        return name not in self._starting and len(self._all[name]) < MAX_ENVIRONMENTS

    def _start(self, name: str) -> ExecutionEnvironment:
        try:
            environment = ExecutionEnvironment(self._functions[name], self._log_file)
            self._all[name].add(environment)
            environment.wait_until_ready()
        finally:
            with self._changed:
                self._starting.discard(name)
                self._changed.notify_all()
        return environment

    def _release(self, name: str, environment: ExecutionEnvironment) -> None:
        """Return an environment to the pool, or remove it if it is dead."""
        with self._changed:
            if environment.alive:
                self._idle[name].append(environment)
            else:
                self._all[name].discard(environment)
            self._changed.notify_all()

    def stop(self) -> None:
        """Kill all execution environments."""
        for environments in self._all.values():
            for environment in list(environments):
                environment.kill()
