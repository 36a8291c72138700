"""The ``projects`` command, run in a process of its own.

Starting Python and importing the command takes most of the time of a short command. ``ProjectsCommand`` therefore forks
a process that has already imported it, unless the command needs a real start.
"""

import atexit
import functools
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
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
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=self._build_environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_restore_sigint,  # noqa: PLW1509 - the function takes no lock
        )

    def run(self, *arguments: str, **environment: str) -> CommandResult:
        """Start the command with further environment variables, and return its result."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=180)
        return CommandResult(process.returncode, out, err)

    def run_on_terminal(self, *arguments: str, **environment: str) -> CommandResult:
        """Start the command with stdout on a terminal, and return its result without the escape sequences of styles."""
        controller, terminal = pty.openpty()
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=self._build_environment({"TERM": "xterm-256color"} | environment),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.PIPE,
        )
        os.close(terminal)
        out = bytearray()
        with suppress(OSError):  # the end of the terminal is an error on Linux
            while chunk := os.read(controller, 1 << 16):
                out += chunk
        os.close(controller)
        _, err = process.communicate(timeout=180)
        text = re.sub("\x1b\\[[0-9;]*m", "", out.decode(environment.get("PYTHONIOENCODING", "utf-8")))
        return CommandResult(process.returncode, text.replace("\r\n", "\n"), err.decode())

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> CommandResult:
        """Run the command like ``run``, with a text on stdin, in a fork of a process that has imported the command."""
        with tempfile.TemporaryDirectory() as folder:
            files = {name: str(Path(folder, name)) for name in ("in", "out", "err")}
            Path(files["in"]).write_text(stdin)
            order = {
                "arguments": [os.fsencode(argument).hex() for argument in arguments],
                "folder": str(self.folder),
                "environment": self._build_environment(environment),
                "files": files,
            }
            code = _start_fork_server()(order)
            return CommandResult(code, *(Path(files[name]).read_text(encoding="utf-8") for name in ("out", "err")))

    def _build_environment(self, environment: dict[str, str]) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PROJECTS_", "AWS_", "XDG_"))}
        return inherited | {"HOME": str(self.folder), "COLUMNS": "200"} | self.environment | environment


@functools.cache
def _start_fork_server() -> Callable[[dict[str, Any]], int]:
    """Start the process that forks, and return a function that runs one command and returns its exit code."""
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(order: dict[str, Any]) -> int:
        assert server.stdin is not None
        assert server.stdout is not None
        print(json.dumps(order), file=server.stdin, flush=True)
        return int(server.stdout.readline())

    atexit.register(server.communicate)
    return run


def _serve() -> None:
    import botocore.session  # noqa: F401, PLC0415 - only this process needs the imports

    from projects_client.cli import main  # noqa: F401, PLC0415 - as above

    for line in sys.stdin:
        process_id = os.fork()
        if not process_id:
            _run_command(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]), flush=True)


def _run_command(order: dict[str, Any]) -> None:
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for descriptor, (name, flags) in enumerate(
        (("in", os.O_RDONLY), ("out", os.O_WRONLY | os.O_CREAT), ("err", os.O_WRONLY | os.O_CREAT))
    ):
        os.dup2(os.open(order["files"][name], flags, 0o600), descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor, for the whole process
    sys.argv = ["projects", *(os.fsdecode(bytes.fromhex(argument)) for argument in order["arguments"])]
    from projects_client.cli.main import main  # noqa: PLC0415 - imported already

    main()
    sys.exit(0)


if __name__ == "__main__":
    _serve()
