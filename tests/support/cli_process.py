"""The ``projects`` command, run in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("projects")


def _restore_sigint() -> None:
    """Restore the default for Ctrl-C: processes that a shell starts in the background inherit SIGINT as ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Output that ``--json`` prints, parsed."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class ProjectsCommand:
    """The ``projects`` command in a folder.

    Attributes:
        folder: Working directory and home of the command.
        environment: Environment variables. Variables named ``PROJECTS_*`` and ``AWS_*`` are not inherited.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start the command with further environment variables, and do not wait for its end."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PROJECTS_", "AWS_"))}
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=inherited | {"HOME": str(self.folder), "COLUMNS": "200"} | self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_restore_sigint,  # noqa: PLW1509 - the function takes no lock
        )

    def __call__(self, *arguments: str, **environment: str) -> CommandResult:
        """Run the command with further environment variables, and return its result."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=180)
        return CommandResult(process.returncode, out, err)
