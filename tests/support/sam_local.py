"""`sam local`, which runs the functions in containers.

`DOCKER_HOST` names the Docker daemon, or a compatible one. `HOST_FROM_CONTAINERS` is the host name of this machine in a
container, if the daemon does not use Docker's name for it.
"""

import contextlib
import json
import multiprocessing
import os
import platform
import threading
import uuid
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from local.stack import Stack
from tests.support import sam_process
from tests.support.in_process_app import ENVIRONMENT, InProcessApp

DOCKER_HOST_NAME = "host.docker.internal"


@dataclass
class SamLocal:
    """`sam local` with a template.

    Attributes:
        template: The built template.
        folder: The folder for the output of the commands.
        image_built: Whether the image of the functions has been built.
        lock: Serializes the commands until the image has been built.
    """

    template: Path
    folder: Path
    image_built: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def options(self) -> list[str]:
        """Return the options that every command of `sam local` takes."""
        options = ["--template", str(self.template), "--skip-pull-image", "--region", ENVIRONMENT["AWS_DEFAULT_REGION"]]
        if "HOST_FROM_CONTAINERS" not in os.environ and platform.system() == "Linux":
            options += ["--add-host", f"{DOCKER_HOST_NAME}:host-gateway"]  # Docker Desktop adds the name itself
        return options

    def start(self, command: list[str], folder: Path) -> BaseProcess:
        """Start a command of `sam local`.

        Args:
            command: The command and its own options.
            folder: The folder for its output, in the files `stdout` and `stderr`.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", *sam_process.PRELOADED_MODULES])
        arguments = ["local", *command, *self.options()]
        process = context.Process(target=sam_process.run_sam, args=(arguments, folder, self.image_built))
        process.start()
        return process

    def invoke(self, function: str, event: Any) -> Any:
        """Run `sam local invoke` and return the function's result."""
        folder = self.folder / f"{function}-{uuid.uuid4()}"
        folder.mkdir()
        (folder / "event.json").write_text(json.dumps(event))
        with contextlib.nullcontext() if self.image_built else self.lock:
            self.start(["invoke", function, "--event", str(folder / "event.json")], folder).join()
            self.image_built = True
        printed = (folder / "stdout").read_text().strip()
        assert printed, (folder / "stderr").read_text()
        return json.loads(printed.rpartition("\n")[2])


class SamLocalApp(InProcessApp):
    """An app whose functions are invoked in containers."""

    def __init__(self, stack: Stack, sam: SamLocal) -> None:
        super().__init__(stack, {})
        self._sam = sam

    def invoke(self, name: str, event: Any) -> Any:
        return self._sam.invoke(name, event)
