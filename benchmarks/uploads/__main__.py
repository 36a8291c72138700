"""Upload a large file to SeaweedFS in parts, kill the client halfway, resume, and count the bytes that were sent twice.

``python -m benchmarks.uploads [GiB] [MiB of a part]``; the default is 5 GiB in parts of 64 MiB.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from benchmarks.uploads.client import CONNECTIONS
from local.engines import seaweedfs
from tests.support.running_stack import start_stack

MIB = 1 << 20


def main() -> None:
    """Run the benchmark, and print its figures."""
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else "5") * 1024) * MIB
    part_size = int(sys.argv[2] if len(sys.argv) > 2 else "64") * MIB
    with (
        tempfile.TemporaryDirectory() as folder,
        seaweedfs() as s3,
        start_stack(Path(folder) / "local", AWS_ENDPOINT_URL_S3=s3) as stack,
    ):
        alice = stack.client("alice")
        file, log = Path(folder) / "file", Path(folder) / "log"
        log.touch()
        with file.open("wb") as content:
            content.truncate(size)
        project_id = alice.create("Large")
        described = {"name": "file.bin", "size_bytes": size, "content_type": "application/octet-stream"}
        body = {"type": "model", "name": "file.bin", "file": described, "part_size_bytes": part_size}
        upload = alice.post(f"/api/projects/{project_id}/resources", body)["upload"]
        command = [sys.executable, "-m", "benchmarks.uploads.client", stack.description["base_url"], alice.api_key]
        command += [upload["id"], str(file), str(part_size), str(log)]

        def count_sent() -> int:
            return sum(map(int, log.read_text().split()))

        started = time.monotonic()
        client = subprocess.Popen(command)
        while count_sent() < size // 2:
            time.sleep(0.1)
            if client.poll() is not None:
                raise RuntimeError("The client ended before it was killed.")
        os.kill(client.pid, signal.SIGKILL)
        client.wait()
        subprocess.run(command, check=True)
        seconds = time.monotonic() - started
        path = f"/api/projects/{project_id}/resources/{upload['resource_id']}"
        artifact = alice.get(path)["resource"]["artifact"]
        head = requests.get(artifact["download_url"], headers={"Range": "bytes=0-0"}, timeout=60)
        stored = int(head.headers["Content-Range"].rpartition("/")[2])
        print(
            f"{size / MIB:,.0f} MiB in parts of {part_size / MIB:,.0f} MiB over {CONNECTIONS} connections: "
            f"{seconds:.1f} s. Stored: {stored / MIB:,.0f} MiB. Sent twice: {(count_sent() - size) / MIB:,.0f} MiB, "
            f"at most {CONNECTIONS * part_size / MIB:,.0f} MiB. Through our functions: 0 bytes of the file."
        )


if __name__ == "__main__":
    main()
