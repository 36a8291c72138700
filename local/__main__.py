"""The program of `make run`: serves the whole API on http://127.0.0.1:8888 until Ctrl-C.

Environment variables:

- ``PORT``: the port of the API.
- ``EXPORT_SCHEDULE``: the schedule expression for the template's parameter ``ExportSchedule``.
- ``LOCAL_FOLDER``: the folder for ``stack.json`` and the functions' log, ``.local`` by default.
- ``AWS_ENDPOINT_URL_DYNAMODB`` and ``AWS_ENDPOINT_URL_S3``: engines to use instead of moto for these two services.
"""

import json
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from local.moto_server import MotoServer

DEFAULT_PORT = 8888
MAX_PORT = 65_535


def main() -> int:
    """Start the service, wait for Ctrl-C and stop it.

    Returns:
        The exit code.
    """
    port_text = os.environ.get("PORT", str(DEFAULT_PORT))
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > MAX_PORT:
        print(f"PORT={port_text} is not a port. Set PORT to a number from 1 to {MAX_PORT}.", file=sys.stderr)
        return 1
    port = int(port_text)
    if _is_port_taken(port):
        print(f"Port {port} is already in use. Choose another one: PORT=8900 make run", file=sys.stderr)
        return 1
    stopping = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: stopping.set())
    aws = MotoServer()

    from local.deployment import deploy  # noqa: PLC0415 - imported while moto's process starts
    from local.stack import REGION, ROOT  # noqa: PLC0415 - imported while moto's process starts

    home = Path(os.environ.get("LOCAL_FOLDER", ROOT / ".local"))
    home.mkdir(exist_ok=True)
    endpoint = aws.wait_for_endpoint()
    _use_aws_endpoint(endpoint, REGION)

    from local.demo_data import seed_demo_data  # noqa: PLC0415 - a slow import, and a taken port is reported without it
    from local.function_runner import FunctionRunner  # noqa: PLC0415 - as above
    from local.gateway import Gateway  # noqa: PLC0415 - as above
    from local.queue_poller import poll_queue  # noqa: PLC0415 - as above
    from local.scheduler import run_schedule  # noqa: PLC0415 - as above

    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    parameters = {"ExportSchedule": os.environ["EXPORT_SCHEDULE"]} if "EXPORT_SCHEDULE" in os.environ else {}
    stack = deploy(parameters)
    log_file = home / "functions.log"
    functions = FunctionRunner(stack.functions, log_file)
    aws.handle_invocations(functions.invoke_by_physical_name)
    try:
        gateway = Gateway(functions, port)
    except SystemExit:  # werkzeug has printed the error and exits
        return 1
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
        "table": stack.table,
        "bus": stack.bus,
        "buckets": {"artifacts": stack.artifacts, "exports": stack.exports},
        "users": users,
    }
    _write_atomically(stack_file, description)
    _print_welcome(base_url, users, stack_file, log_file)
    stopping.wait()
    gateway.stop()
    functions.stop()
    aws.stop()
    stack_file.unlink(missing_ok=True)
    return 0


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
