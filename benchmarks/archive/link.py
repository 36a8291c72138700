"""A network link with a limited bandwidth between the contenders and the S3 server, as on Lambda."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

NAMESPACE = "projects-benchmark"
SERVER, WORKER = "10.213.0.1", "10.213.0.2"


def require_tools(megabits: int | None) -> None:
    """Check that everything for the benchmark is there.

    Raises:
        SystemExit: A program is missing, or the user may not create a network namespace.
    """
    if not Path(sys.executable).with_name("weed").exists():
        raise SystemExit("SeaweedFS is not installed. Run `make benchmark-archive`, which installs it.")
    if megabits is None:
        return
    missing = [name for name in ("ip", "tc", "socat") if not shutil.which(name)]
    if missing:
        raise SystemExit(f"--link needs {', '.join(missing)}. On Debian: apt install iproute2 socat")
    if os.geteuid():
        raise SystemExit("--link creates a network namespace, which only root may do.")


@contextmanager
def limited_link(url: str, megabits: int | None) -> Iterator[list[str]]:
    """Create a network namespace in the block whose only link has a limited bandwidth in each direction.

    Args:
        url: The URL of the S3 server, on a port of 127.0.0.1. The block's contenders find the server at another
            address, which the environment variable AWS_ENDPOINT_URL_S3 names in the namespace.
        megabits: The bandwidth in megabits per second, or None for no namespace.

    Yields:
        The beginning of the command line of a program that runs in the namespace.
    """
    if megabits is None:
        yield []
        return
    port = urlsplit(url).port
    rate = ["root", "tbf", "rate", f"{megabits}mbit", "burst", "1mb", "latency", "50ms"]
    inside = ["ip", "netns", "exec", NAMESPACE]
    with ExitStack() as stack:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False, capture_output=True)
        _run("ip", "netns", "add", NAMESPACE)
        stack.callback(subprocess.run, ["ip", "netns", "delete", NAMESPACE], check=False)
        _run("ip", "link", "add", "bench0", "type", "veth", "peer", "name", "bench1", "netns", NAMESPACE)
        _run("ip", "address", "add", f"{SERVER}/24", "dev", "bench0")
        _run("ip", "link", "set", "bench0", "up")
        _run(*inside, "ip", "address", "add", f"{WORKER}/24", "dev", "bench1")
        _run(*inside, "ip", "link", "set", "bench1", "up")
        _run("tc", "qdisc", "add", "dev", "bench0", *rate)
        _run(*inside, "tc", "qdisc", "add", "dev", "bench1", *rate)
        relay = subprocess.Popen(
            ["socat", f"TCP-LISTEN:{port},bind={SERVER},fork,reuseaddr,backlog=128", f"TCP:127.0.0.1:{port}"]
        )
        stack.callback(relay.wait)
        stack.callback(relay.terminate)
        yield [*inside, "env", f"AWS_ENDPOINT_URL_S3=http://{SERVER}:{port}"]


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
