"""`make run` says at once why it can't start."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running_stack import ROOT


def refusal(port: str, folder: Path) -> str:
    """What is said on stderr by a start that comes to nothing."""
    environment = {
        **os.environ,
        "PORT": port,
        "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}",
        "LOCAL_FOLDER": str(folder / "local"),
    }
    ended = subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert not (folder / "local").exists()
    return ended.stderr


def test_a_port_that_is_taken_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(str(port), tmp_path)
    assert said == f"Something else serves on port {port}. Give another: PORT=8900 make run\n"


@pytest.mark.parametrize("port", ["abc", "-1", "65536", ""])
def test_what_is_no_port_is_told(tmp_path: Path, port: str) -> None:
    assert refusal(port, tmp_path) == f"PORT={port} is no port: give a number from 1 to 65535.\n"
