"""``sam local``: the functions in containers.

Docker is asked, or whatever answers as it does at ``DOCKER_HOST``. ``HOST_FROM_CONTAINERS`` is what this machine is
called in a container, where that is not what Docker calls it.
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

DOCKERS_NAME = "host.docker.internal"


@dataclass
class SamLocal:
    """``sam local``, and where it writes what a command prints."""

    template: Path
    folder: Path
    image_built: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def options(self) -> list[str]:
        chosen = ["--template", str(self.template), "--skip-pull-image", "--region", ENVIRONMENT["AWS_DEFAULT_REGION"]]
        if "HOST_FROM_CONTAINERS" not in os.environ and platform.system() == "Linux":
            chosen += ["--add-host", f"{DOCKERS_NAME}:host-gateway"]  # elsewhere Docker knows it by itself
        return chosen

    def start(self, command: list[str], folder: Path) -> BaseProcess:
        """Starts a command of ``sam local``, which prints into two files of a folder."""
        forked = multiprocessing.get_context("forkserver")
        forked.set_forkserver_preload(["__main__", *sam_process.IMPORTED])
        whole = ["local", *command, *self.options()]
        process = forked.Process(target=sam_process.run, args=(whole, folder, self.image_built))
        process.start()
        return process

    def invoke(self, function: str, event: Any) -> Any:
        """What ``sam local invoke`` prints as the function's answer."""
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
    """The stack, whose functions are invoked in containers."""

    def __init__(self, stack: Stack, sam: SamLocal) -> None:
        super().__init__(stack, {})
        self._sam = sam

    def invoke(self, name: str, event: Any) -> Any:
        return self._sam.invoke(name, event)
