"""The command line, run as a program of its own."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("projects")


def _hear_ctrl_c() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of the program ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Projects:
    """``projects``, in a folder, with these environment variables and no other of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PROJECTS_", "AWS_"))}
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=inherited | {"HOME": str(self.folder), "COLUMNS": "200"} | self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
        )

    def __call__(self, *arguments: str, **environment: str) -> Ended:
        started = self.start(*arguments, **environment)
        out, err = started.communicate(timeout=180)
        return Ended(started.returncode, out, err)
