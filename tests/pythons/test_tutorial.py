"""The tutorial of the command line, typed on a terminal with each Python that the client supports."""

import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.running_stack import ROOT, RunningStack, start_stack

UV = ROOT / ".venv" / "bin" / "uv"
PAGE = ROOT / "docs" / "tutorial" / "command-line.md"

#: The home that the page shows.
HOME = "/home/alice"

#: A progress bar, which ends where the next one or a note begins.
BAR = re.compile(r"(exporting|downloading|checking) +━.*?(?=exporting|downloading|checking|Checked|\n|$)")

#: What differs between two sessions: ids and times.
VARIABLE = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f-]{27})?\b|\d{4}-\d\d-\d\d \d\d:\d\dZ")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with start_stack(tmp_path_factory.mktemp("stack") / "local") as running_stack:
        yield running_stack


def read_session() -> list[tuple[str, str]]:
    """Return each command of the page with the output that the page shows."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
    sessions = [re.split(r"^\$ ", block, flags=re.MULTILINE)[1:] for block in blocks]
    return [
        (command, output) for session in sessions for command, _, output in (each.partition("\n") for each in session)
    ]


def type_command(command: str, environment: dict[str, str], *, secret: str) -> str:
    """Run a command on a terminal, type a secret when it asks for one, and return the lines that stay there."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        ["timeout", "--foreground", "100", "bash", "-c", command],
        cwd=environment["HOME"],
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = bytearray()
    with suppress(OSError):  # the end of the terminal is an error on Linux
        while chunk := os.read(controller, 1 << 16):
            shown += chunk
            if chunk.rstrip().endswith(b"(not shown):"):
                time.sleep(0.2)  # the terminal stops to show what is typed
                os.write(controller, f"{secret}\n".encode())
    os.close(controller)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r\n", "\n")
    assert process.wait(60) == 0, text
    text = BAR.sub("", text).replace(environment["HOME"], HOME)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_tutorial(stack: RunningStack, tmp_path: Path, version: str) -> None:
    """Every command shows what the tutorial says; uv installs the client, faster than pip."""
    subprocess.run([UV, "venv", "-q", "--no-project", "--python", version, tmp_path / "venv"], check=True)
    environment = os.environ | {
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}",
        "TERM": "xterm-256color",
        "COLUMNS": "120",
    }
    (tmp_path / "client").symlink_to(ROOT / "client")
    for command, output in read_session():
        typed = command.replace("http://127.0.0.1:8888", stack.description["base_url"]).replace("pip ", f"{UV} pip ")
        shown = type_command(typed, environment, secret=stack.description["users"]["alice"]["api_key"])
        print(f"$ {typed}\n{shown}")
        assert VARIABLE.sub("…", shown) == VARIABLE.sub("…", output)
