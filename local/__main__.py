"""The program of `make run`: serves the whole API on http://127.0.0.1:8888 until Ctrl-C.

Environment variables:

- ``PORT``: the port of the API.
- ``EXPORT_SCHEDULE``: the schedule expression for the template's parameter ``ExportSchedule``.
- ``LOCAL_FOLDER``: the folder for ``stack.json`` and the functions' log, ``.local`` by default.
- ``AWS_ENDPOINT_URL_DYNAMODB`` and ``AWS_ENDPOINT_URL_S3``: engines to use instead of moto for these two services.
"""

import contextlib
import fcntl
import json
import logging
import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local import schedule_expression
from local.moto_server import MotoServer
from local.schedule_expression import ScheduleExpressionError
from local.stack import REGION, ROOT

DEFAULT_PORT = 8888
MAX_PORT = 65_535

#: The variables with the URLs of engines that replace moto.
ENGINE_VARIABLES = ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3")


class StartError(Exception):
    """The stack can't start. The message says why, and what to do."""


def main() -> int:
    """Start the service, wait for Ctrl-C and stop it.

    Returns:
        The exit code.
    """
    _handle_signals()
    try:
        return _run()
    except KeyboardInterrupt:
        return 0


def _run() -> int:
    try:
        port, parameters = _read_port(), _read_parameters()
        _check_engines()
        home = Path(os.environ.get("LOCAL_FOLDER") or ROOT / ".local")
        with _reserve_folder(home):
            return _serve(port, parameters, home)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception:
        time.sleep(1)  # a signal to all processes can end a child, and so cause the error, before it arrives here
        raise


def _handle_signals() -> None:
    """Make Ctrl-C, SIGTERM and the end of the terminal raise KeyboardInterrupt, also while the stack starts.

    Later signals are ignored, so that they do not interrupt the end.
    """
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores the end of the terminal
        numbers.append(signal.SIGHUP)

    def interrupt(*_: Any) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)


@contextlib.contextmanager
def _start_children() -> Iterator[None]:
    """Start processes that ignore Ctrl-C from their beginning: a terminal sends it to them, too.

    A Ctrl-C during the block takes effect at its end.
    """
    resource_tracker.ensure_running()  # because its start would unblock the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _read_port() -> int:
    """Return the port of the environment.

    Raises:
        StartError: It is not a port, or in use.
    """
    text = os.environ.get("PORT", str(DEFAULT_PORT))
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PORT:
        raise StartError(f"PORT={text} is not a port. Set PORT to a number from 1 to {MAX_PORT}.")
    if _is_port_taken(int(text)):
        raise StartError(f"Port {text} is already in use. Choose another one: PORT=8900 make run")
    return int(text)


def _read_parameters() -> dict[str, str]:
    """Return the template parameters of the environment.

    Raises:
        StartError: EventBridge Scheduler would not accept the schedule expression.
    """
    if "EXPORT_SCHEDULE" not in os.environ:
        return {}
    expression = os.environ["EXPORT_SCHEDULE"]
    try:
        if expression:  # without one, there is no schedule
            schedule_expression.parse(expression)
    except ScheduleExpressionError as error:
        raise StartError(f"EXPORT_SCHEDULE={expression} is not a schedule expression. {error}") from None
    return {"ExportSchedule": expression}


def _check_engines() -> None:
    """Check that the engines of the environment accept connections.

    Raises:
        StartError: One does not, or its URL is not valid.
    """
    for name in ENGINE_VARIABLES:
        url = os.environ.get(name)
        if not url:
            os.environ.pop(name, None)  # an empty variable is none
            continue
        try:
            parts = urlsplit(url)
            address = (parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme])
            socket.create_connection(address, timeout=10).close()
        except (ValueError, KeyError):
            raise StartError(
                f"{name}={url} is not the URL of an engine. Use one such as http://127.0.0.1:8000."
            ) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StartError(f"{name}={url} does not respond: {reason}. Start this engine, or unset {name}.") from None


@contextlib.contextmanager
def _reserve_folder(home: Path) -> Iterator[None]:
    """Reserve the folder for this stack until the end of the block, and remove what a killed stack left there.

    The reservation is a lock on a file, which the system releases when the process ends in any way.

    Raises:
        StartError: Another stack runs in the folder, or the folder can't be used.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / "lock").open("w")
    except OSError as error:
        raise StartError(
            f"The folder {home} can't be used: {error.strerror}. Set LOCAL_FOLDER to another one."
        ) from None
    stack_file = home / "stack.json"
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(
                f"Another stack runs in {home}. Stop it, or choose another folder for this one: "
                f"LOCAL_FOLDER={shlex.quote(str(home / 'second'))} make run"
            ) from None
        except OSError:
            print(f"{home} has no file locks, so a second stack there would not be noticed.", file=sys.stderr)
        stack_file.unlink(missing_ok=True)
        try:
            yield
        finally:
            stack_file.unlink(missing_ok=True)


def _serve(port: int, parameters: dict[str, str], home: Path) -> int:
    """Start everything, wait for the end and stop everything. Return the exit code."""
    with contextlib.ExitStack() as cleanup:
        return _serve_until_stopped(port, parameters, home, cleanup)


def _serve_until_stopped(port: int, parameters: dict[str, str], home: Path, cleanup: contextlib.ExitStack) -> int:
    stopping = threading.Event()
    with _start_children():
        aws = MotoServer()
    cleanup.callback(aws.stop)

    from local.deployment import deploy  # noqa: PLC0415 - imported while moto's process starts

    endpoint = aws.wait_for_endpoint()
    _use_aws_endpoint(endpoint, REGION)

    from local.demo_data import seed_demo_data  # noqa: PLC0415 - a slow import, and a taken port is reported without it
    from local.function_runner import FunctionRunner  # noqa: PLC0415 - as above
    from local.gateway import Gateway  # noqa: PLC0415 - as above
    from local.queue_poller import poll_queue  # noqa: PLC0415 - as above
    from local.scheduler import run_schedule  # noqa: PLC0415 - as above

    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    stack = deploy(parameters)
    log_file = home / "functions.log"
    with _start_children():
        functions = FunctionRunner(stack.functions, log_file)
    cleanup.callback(functions.stop)
    aws.handle_invocations(functions.invoke_by_physical_name)
    try:
        gateway = Gateway(functions, port)
    except SystemExit:  # werkzeug has printed the error and exits
        return 1
    cleanup.callback(gateway.stop)
    cleanup.callback(stopping.set)
    pollers: list[tuple[Any, Any]] = [(poll_queue, source) for source in stack.event_sources]
    pollers += [(run_schedule, schedule) for schedule in stack.schedules]
    for poll, source in pollers:
        threading.Thread(target=poll, args=(source, functions, stopping), daemon=True).start()
    base_url = f"http://127.0.0.1:{gateway.port}"
    users = seed_demo_data(base_url, stack, functions)
    stack_file = home / "stack.json"
    description = {
        "base_url": base_url,
        "endpoint_url": endpoint,
        "region": REGION,
        "table": stack.table,
        "bus": stack.bus,
        "buckets": {"artifacts": stack.artifacts, "exports": stack.exports},
        "users": users,
    }
    _write_atomically(stack_file, description)
    _print_welcome(base_url, users, stack_file, log_file)
    exit_code = 0

    def stop_without_aws() -> None:
        """Stop the stack if moto's process ends, because nothing works without it."""
        nonlocal exit_code
        aws.wait()
        if not stopping.is_set():
            print("The stand-in for AWS has ended, and its data is lost. Start again: make run", file=sys.stderr)
            exit_code = 1
            stopping.set()

    threading.Thread(target=stop_without_aws, daemon=True).start()
    stopping.wait()
    return exit_code


def _use_aws_endpoint(endpoint: str, region: str) -> None:
    """Point every AWS client of this process and its child processes to ``endpoint``."""
    for name in [name for name in os.environ if name.startswith(("AWS_PROFILE", "AWS_SESSION", "AWS_SECURITY"))]:
        del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ENDPOINT_URL": endpoint,
        "POWERTOOLS_METRICS_NAMESPACE": "ProjectsApi",
        "SAM_CLI_TELEMETRY": "0",
    }


def _write_atomically(path: Path, description: dict[str, Any]) -> None:
    """Write the stack's description in one step, so that a program waiting for the file never reads half of it."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(description, indent=2) + "\n")
    unfinished.replace(path)


def _print_welcome(base_url: str, users: dict[str, dict[str, str]], stack_file: Path, log_file: Path) -> None:
    print(f"The Projects API is on {base_url}, its documentation on {base_url}/api/docs.\n")
    for nick, user in users.items():
        print(f"{nick:6} {user['api_key']}")
    print(f"\nTry it:\n\n  curl -H 'Authorization: Bearer {users['alice']['api_key']}' {base_url}/api/projects\n")
    print(f"Names and endpoints of the stack: {stack_file}\nLog of the functions:             {log_file}")
    print("Press Ctrl-C to stop. The data is not kept.", flush=True)


def _is_port_taken(port: int) -> bool:
    """Return whether a port is in use. Checked first, because starting everything else takes half a minute."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
