"""`make run` says at once why it can't start."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.running import ROOT


def test_a_port_that_is_taken_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = {
            **os.environ,
            "PORT": str(port),
            "PYTHONPATH": f"{ROOT / 'layers' / 'core'}:{ROOT}",
            "LOCAL_FOLDER": str(tmp_path / "local"),
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
    assert ended.stderr == f"Something else serves on port {port}. Give another: PORT=8900 make run\n"
    assert not (tmp_path / "local").exists()
