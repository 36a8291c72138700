"""Startup errors of `make run`."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running_stack import ROOT


def run_and_fail(port: str, folder: Path) -> str:
    """Start the stack, which must fail before it writes anything, and return its error message."""
    environment = {
        **os.environ,
        "PORT": port,
        "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}",
        "LOCAL_FOLDER": str(folder / "local"),
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
    assert not (folder / "local").exists()
    return result.stderr


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        message = run_and_fail(str(port), tmp_path)
    assert message == f"Port {port} is already in use. Choose another one: PORT=8900 make run\n"


@pytest.mark.parametrize("port", ["abc", "-1", "65536", ""])
def test_invalid_port(tmp_path: Path, port: str) -> None:
    assert run_and_fail(port, tmp_path) == f"PORT={port} is not a port. Set PORT to a number from 1 to 65535.\n"
