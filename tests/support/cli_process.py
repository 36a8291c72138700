"""The ``projects`` command, run in a process of its own.

Starting Python and importing the command takes most of the time of a short command. ``ProjectsCommand`` therefore forks
a process that has already imported it, unless the command needs a real start.
"""

import atexit
import functools
import gc
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("projects")

#: Time after which a command that still runs is killed, in seconds.
TIMEOUT = 180


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
class RunningCommand:
    """A command that runs in a fork.

    Attributes:
        process_id: Id of the process.
        folder: Folder with the files of stdin, stdout and stderr.
    """

    process_id: int
    folder: Path

    def send_signal(self, number: int) -> None:
        os.kill(self.process_id, number)

    def is_running(self) -> bool:
        """Return whether the command has not ended; one that has ended is a zombie until ``wait``."""
        return Path(f"/proc/{self.process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"

    def wait(self, timeout: int = TIMEOUT) -> CommandResult:
        """Return the result; a command that takes longer than ``timeout`` seconds is killed."""
        code = _start_fork_server()({"wait": self.process_id, "timeout": timeout})
        out, err = ((self.folder / name).read_text(encoding="utf-8") for name in ("out", "err"))
        shutil.rmtree(self.folder)
        return CommandResult(code, out, err)


@dataclass(frozen=True, slots=True)
class ProjectsCommand:
    """The ``projects`` command in a folder.

    Attributes:
        folder: Working directory and home of the command.
        environment: Environment variables. Variables named ``PROJECTS_*`` and ``AWS_*`` are not inherited.
        pause_factor: Factor by which a fork shortens its pauses between two attempts.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    pause_factor: float = 1

    def run(self, *arguments: str, **environment: str) -> CommandResult:
        """Run the command in a new process with further environment variables, and return its result."""
        result = subprocess.run(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=self._build_environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return CommandResult(result.returncode, result.stdout, result.stderr)

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> CommandResult:
        """Run the command in a fork with a text on stdin and further environment variables, and return its result."""
        return self.start(*arguments, stdin=stdin, **environment).wait()

    def start(self, *arguments: str, stdin: str = "", **environment: str) -> RunningCommand:
        """Start the command in a fork, and do not wait for its end."""
        return self._fork(arguments, environment, stdin=stdin)

    def run_on_terminal(self, *arguments: str, **environment: str) -> CommandResult:
        """Run the command in a fork with stdout on a terminal; the result has no escape sequences of styles."""
        controller, terminal = pty.openpty()
        process = self._fork(arguments, {"TERM": "xterm-256color"} | environment, out=os.ttyname(terminal))
        out = bytearray()
        reader = threading.Thread(target=_read_terminal, args=(controller, out))
        reader.start()
        result = process.wait()
        os.close(terminal)  # the end of the terminal, when the command has closed it, too
        reader.join()
        os.close(controller)
        text = re.sub("\x1b\\[[0-9;]*m", "", out.decode(environment.get("PYTHONIOENCODING", "utf-8")))
        return CommandResult(result.code, text.replace("\r\n", "\n"), result.err)

    def _fork(
        self, arguments: tuple[str, ...], environment: dict[str, str], *, stdin: str = "", out: str = "out"
    ) -> RunningCommand:
        folder = Path(tempfile.mkdtemp())
        for name, text in (("in", stdin), ("out", ""), ("err", "")):
            (folder / name).write_text(text)
        order = {
            "arguments": [os.fsencode(argument).hex() for argument in arguments],
            "folder": str(self.folder),
            "environment": self._build_environment(environment),
            "files": [str(folder / name) for name in ("in", out, "err")],  # the path of a terminal is absolute
            "pause_factor": self.pause_factor,
        }
        return RunningCommand(_start_fork_server()(order), folder)

    def _build_environment(self, environment: dict[str, str]) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PROJECTS_", "AWS_", "XDG_"))}
        return inherited | {"HOME": str(self.folder), "COLUMNS": "200"} | self.environment | environment


def _read_terminal(controller: int, out: bytearray) -> None:
    with suppress(OSError):  # the end of the terminal is an error on Linux
        while chunk := os.read(controller, 1 << 16):
            out += chunk


@functools.cache
def _start_fork_server() -> Callable[[dict[str, Any]], int]:
    """Start the process that forks, and return a function that sends an order and returns the response's number."""
    server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(order: dict[str, Any]) -> int:
        assert server.stdin is not None
        assert server.stdout is not None
        print(json.dumps(order), file=server.stdin, flush=True)
        return int(server.stdout.readline())

    atexit.register(server.communicate)
    return send


def _serve() -> None:
    """Respond to each order: with the id of the process that it starts, or with the exit code of one that ends."""
    import botocore.session  # noqa: F401, PLC0415 - only this process needs the imports
    import typer.main  # noqa: PLC0415 - as above

    from projects_client.cli.main import app  # noqa: PLC0415 - as above

    typer.main.get_command = functools.cache(typer.main.get_command)
    with suppress(SystemExit), redirect_stdout(io.StringIO()):
        app(["list", "--help"])  # the forks have the parser of every command, and what it imports when it is used
    gc.collect()
    gc.freeze()  # a collection in a fork would copy the memory of every object
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(_wait(order["wait"], order["timeout"]), flush=True)
        elif process_id := os.fork():
            print(process_id, flush=True)
        else:
            _run_command(order)


def _wait(process_id: int, timeout: int) -> int:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(process_id, signal.SIGKILL))
    signal.alarm(timeout)
    code = os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])
    signal.alarm(0)
    return code


def _run_command(order: dict[str, Any]) -> None:
    """Run a command like a new process, and end without the interpreter's tidying, which takes longer than most."""
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor, (path, flags) in enumerate(
        zip(order["files"], (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)
    ):
        os.dup2(os.open(path, flags | os.O_NOCTTY), descriptor)
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115 - a descriptor, for the whole process
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115 - as above
    sys.argv = ["projects", *(os.fsdecode(bytes.fromhex(argument)) for argument in order["arguments"])]
    sleep, wait, factor = time.sleep, threading.Event.wait, order["pause_factor"]
    time.sleep = lambda seconds: sleep(seconds * factor)
    threading.Event.wait = lambda self, timeout=None: wait(self, timeout and timeout * factor)  # type: ignore[method-assign]  # of this process only
    from projects_client.cli.main import main  # noqa: PLC0415 - imported already

    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - as the interpreter does at the end of a program
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # in no stub
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    _serve()
