"""`make run`: the whole API on http://127.0.0.1:8888, until Ctrl-C.

Environment variables: `PORT`; `EXPORT_SCHEDULE`, an expression for the template's parameter; `LOCAL_FOLDER`, where
`stack.json` and the functions' log are written, instead of `.local`; `AWS_ENDPOINT_URL_DYNAMODB` and
`AWS_ENDPOINT_URL_S3`, other engines than moto for these two.
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

PORT = 8888
LAST_PORT = 65_535


def main() -> int:
    """Starts everything, and ends everything at Ctrl-C."""
    given = os.environ.get("PORT", str(PORT))
    if not given.isascii() or not given.isdigit() or int(given) > LAST_PORT:
        print(f"PORT={given} is no port: give a number from 1 to {LAST_PORT}.", file=sys.stderr)
        return 1
    port = int(given)
    if _is_taken(port):
        print(f"Something else serves on port {port}. Give another: PORT=8900 make run", file=sys.stderr)
        return 1
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    aws = MotoServer()

    from local.deployment import deploy  # noqa: PLC0415 - imported while the other process starts
    from local.stack import REGION, ROOT  # noqa: PLC0415 - imported while the other process starts

    home = Path(os.environ.get("LOCAL_FOLDER", ROOT / ".local"))
    home.mkdir(exist_ok=True)
    endpoint = aws.endpoint()
    _point_aws_at(endpoint, REGION)

    from local.demo_data import seed  # noqa: PLC0415 - as above
    from local.function_runner import Functions  # noqa: PLC0415 - as above
    from local.gateway import Gateway  # noqa: PLC0415 - as above
    from local.queue_poller import poll_queue  # noqa: PLC0415 - as above
    from local.scheduler import run_schedule  # noqa: PLC0415 - as above

    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    parameters = {"ExportSchedule": os.environ["EXPORT_SCHEDULE"]} if "EXPORT_SCHEDULE" in os.environ else {}
    stack = deploy(parameters)
    functions = Functions(stack.functions, home / "functions.log")
    aws.run_functions(functions.run)
    try:
        gateway = Gateway(functions, port)
    except SystemExit:  # werkzeug says what is wrong, and gives up in its own way
        return 1
    pumps: list[tuple[Any, Any]] = [(poll_queue, source) for source in stack.sources]
    pumps += [(run_schedule, schedule) for schedule in stack.schedules]
    for pump, what in pumps:
        threading.Thread(target=pump, args=(what, functions, ended), daemon=True).start()
    base_url = f"http://127.0.0.1:{gateway.port}"
    users = seed(base_url, stack, functions)
    written = home / "stack.json"
    buckets = {"artifacts": stack.artifacts, "exports": stack.exports}
    about = {"base_url": base_url, "endpoint_url": endpoint, "table": stack.table, "bus": stack.bus, "buckets": buckets}
    _write(written, about | {"users": users})
    _greet(base_url, users, written, home / "functions.log")
    ended.wait()
    gateway.end()
    functions.end()
    aws.end()
    written.unlink(missing_ok=True)
    return 0


def _point_aws_at(endpoint: str, region: str) -> None:
    """Makes every client of AWS in this process, and in those it starts, call the stand-in."""
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


def _write(path: Path, about: dict[str, Any]) -> None:
    """Writes what the stack is made of, so that whoever waits for the file finds it whole."""
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(about, indent=2) + "\n")
    unfinished.replace(path)


def _greet(base_url: str, users: dict[str, dict[str, str]], written: Path, log: Path) -> None:
    print(f"The Projects API is on {base_url}, its documentation on {base_url}/api/docs.\n")
    for nick, user in users.items():
        print(f"{nick:6} {user['api_key']}")
    print(f"\nTry it:\n\n  curl -H 'Authorization: Bearer {users['alice']['api_key']}' {base_url}/api/projects\n")
    print(f"What the stack is made of: {written}\nWhat the functions log:    {log}")
    print("Ctrl-C ends it all, and nothing is kept.", flush=True)


def _is_taken(port: int) -> bool:
    """Whether a port is in use, which is better known before half a minute's work than after."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
