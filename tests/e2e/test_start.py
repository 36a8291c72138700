"""The start and the end of `make run`, and its errors."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.e2e.test_session import wait_until
from tests.support.running_stack import ROOT, RunningStack, start_stack


def run_and_fail(folder: Path, **environment: str) -> str:
    """Start the stack, which must fail, and return its error message."""
    environment = {
        **os.environ,
        "PORT": "0",
        "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}",
        "LOCAL_FOLDER": str(folder),
        **environment,
    }
    result = subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    return result.stderr


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        message = run_and_fail(tmp_path / "local", PORT=str(port))
    assert message == f"Port {port} is already in use. Choose another one: PORT=8900 make run\n"
    assert not (tmp_path / "local").exists()


@pytest.mark.parametrize("port", ["abc", "-1", "65536", ""])
def test_invalid_port(tmp_path: Path, port: str) -> None:
    message = run_and_fail(tmp_path / "local", PORT=port)
    assert message == f"PORT={port} is not a port. Set PORT to a number from 1 to 65535.\n"
    assert not (tmp_path / "local").exists()


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("rate(0 minutes)", "A rate is a positive whole number"),
        ("every day", "Use rate("),
        ("cron(0 3 * * * *)", "Exactly one of day of month and day of week is '?'."),
        ("at(tomorrow)", "A time has the form at(2026-02-10T09:00:00)"),
    ],
)
def test_invalid_schedule(tmp_path: Path, expression: str, reason: str) -> None:
    message = run_and_fail(tmp_path / "local", EXPORT_SCHEDULE=expression)
    assert message.startswith(f"EXPORT_SCHEDULE={expression} is not a schedule expression. {reason}")
    assert message.count("\n") == 1
    assert not (tmp_path / "local").exists()


def test_unusable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = run_and_fail(tmp_path / "file")
    assert message.startswith(f"The folder {tmp_path / 'file'} can't be used: ")
    assert message.count("\n") == 1


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9", "does not respond: connection refused. Start this engine, or unset"),
        ("127.0.0.1:8000", "is not the URL of an engine. Use one such as http://127.0.0.1:8000."),
        ("http://127.0.0.1:99999", "is not the URL of an engine"),
    ],
)
def test_engine_that_does_not_respond(tmp_path: Path, variable: str, url: str, reason: str) -> None:
    message = run_and_fail(tmp_path / "local", **{variable: url})
    assert message.startswith(f"{variable}={url} {reason}")
    assert message.count("\n") == 1


def test_second_stack_in_the_folder(stack: RunningStack) -> None:
    """It is refused in one sentence, and leaves the first stack's description alone."""
    message = run_and_fail(stack.folder)
    assert message.startswith(f"Another stack runs in {stack.folder}. Stop it, or choose another folder for this one: ")
    assert message.count("\n") == 1
    assert json.loads((stack.folder / "stack.json").read_text()) == stack.description
    assert requests.get(f"{stack.description['base_url']}/api/openapi.json", timeout=30).status_code == 200


def list_descendants(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started, directly or not."""
    children: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            children += map(int, path.read_text().split())
    return children + [descendant for child in children for descendant in list_descendants(child)]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def killed_stack(tmp_path: Path) -> Iterator[RunningStack]:
    with start_stack(tmp_path / "local", EXPORT_SCHEDULE="") as running_stack:
        processes = list_descendants(running_stack.process.pid)
        running_stack.process.kill()
        assert running_stack.process.wait(30) == -signal.SIGKILL
        assert (running_stack.folder / "stack.json").exists()
        wait_until(lambda: not any(map(is_running, processes)))  # they notice that their parent has ended
        yield running_stack


def test_killed_stack(killed_stack: RunningStack) -> None:
    """After `kill -9`, a new stack removes the description of the killed one at its start. Ctrl-C ends all of it."""
    environment = {**os.environ, "PORT": "0", "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=environment | {"LOCAL_FOLDER": str(killed_stack.folder)},
        stdout=subprocess.DEVNULL,
    )
    stack_file = killed_stack.folder / "stack.json"
    try:
        wait_until(lambda: not stack_file.exists())
        wait_until(stack_file.exists)
        base_url = json.loads(stack_file.read_text())["base_url"]
        assert base_url != killed_stack.description["base_url"]
        assert requests.get(f"{base_url}/api/openapi.json", timeout=30).status_code == 200
        processes = list_descendants(process.pid)
        assert len(processes) > 5
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not stack_file.exists()
    wait_until(lambda: not any(map(is_running, processes)))


@pytest.mark.parametrize(
    "signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name
)
def test_end_during_the_start(tmp_path: Path, signal_number: signal.Signals) -> None:
    """Ctrl-C, and the end of the terminal, reach all processes. They end at any time, without a traceback."""
    environment = {**os.environ, "PORT": "0", "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=environment | {"LOCAL_FOLDER": str(tmp_path / "local")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: len(list_descendants(process.pid)) == 2)  # the server of the AWS APIs, and a helper
    os.killpg(process.pid, signal_number)
    output, _ = process.communicate(timeout=10)
    assert (process.returncode, output) == (0, "")
    assert not (tmp_path / "local" / "stack.json").exists()


def run_make(*arguments: str, **environment: str) -> str:
    """Run `make`, which must fail, and return what it prints to stderr without its own last line."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    result = subprocess.run(
        ["make", "-C", ROOT, *arguments],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 2
    *lines, last = result.stderr.splitlines()
    assert last.startswith("make: *** ")
    return "\n".join(lines)


def test_other_python(tmp_path: Path) -> None:
    """With another version of Python, one sentence says so before anything is installed."""
    for name, program in (("python3.12", "exit 1"), ("python3.13", "exit 127")):
        python = tmp_path / name
        python.write_text(f"#!/bin/sh\n{program}\n")
        python.chmod(0o755)
        message = run_make("run", f"READY={tmp_path / 'ready'}", f"PYTHON={python}")
        assert message.startswith("This project needs Python 3.13 with venv: install it")
        assert "make run PYTHON=" in message
        assert "\n" not in message


def test_no_docker() -> None:
    message = run_make("docker-running", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert message.startswith("Docker is not running: start it, or set DOCKER_HOST")
    assert "\n" not in message
