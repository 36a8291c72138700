"""The program of `make benchmark-archive`: measures the contenders in turn, verifies the archives, writes the results.

Every run has an S3 server of its own. Every contender runs in a process of its own.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import boto3

from benchmarks.archive.contenders import CONTENDERS, PROJECT, THIS_PROJECT
from benchmarks.machine import describe_machine
from local.engines import seaweedfs

ROOT = Path(__file__).parents[2]
RESULTS_FILE = ROOT / "docs" / "benchmarks" / "archive.md"
KIB, MIB = 1 << 10, 1 << 20
PEERS = ("stream-zip", "zipstream-ng")
BUCKETS = {"ARTIFACTS_BUCKET": "artifacts", "EXPORTS_BUCKET": "exports"}

#: The measurements of each contender, one dictionary for each run.
type Measurements = dict[str, list[dict[str, float]]]


def workloads() -> dict[str, list[int]]:
    """Return the workloads by name: the sizes of their files in bytes."""
    generator = random.Random(2026)
    return {
        "few large: 4 × 256 MiB": [256 * MIB] * 4,
        "mixed: 200 × 1 to 64 MiB": [generator.randrange(MIB, 64 * MIB) for _ in range(200)],
        "many small: 5,000 × 20 KiB": [20 * KIB] * 5_000,
    }


@contextmanager
def run_s3_server() -> Iterator[Any]:
    """Run SeaweedFS with both buckets until the end of the block and set the environment variables to use it.

    Yields:
        A client of S3.
    """
    with seaweedfs() as url:
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "TABLE": "none",
            **BUCKETS,
        }
        s3 = boto3.client("s3")
        for bucket in BUCKETS.values():
            s3.create_bucket(Bucket=bucket)
        yield s3


def store_files(s3: Any, name: str, sizes: list[int]) -> list[str]:
    """Store files of random bytes in the artifacts bucket and return their keys."""
    random_bytes = random.Random(name).randbytes(80 * MIB)

    def store(number: int) -> str:
        key = f"projects/{PROJECT}/{name.partition(':')[0].replace(' ', '-')}/{number:05}.bin"
        start = number * 997 % (16 * MIB)
        if sizes[number] <= 64 * MIB:
            s3.put_object(
                Bucket="artifacts",
                Key=key,
                Body=random_bytes[start : start + sizes[number]],
                ChecksumAlgorithm="CRC32",
            )
        else:
            with tempfile.TemporaryFile() as body:
                for _ in range(sizes[number] // (64 * MIB)):
                    body.write(random_bytes[start : start + 64 * MIB])
                body.seek(0)
                s3.put_object(Bucket="artifacts", Key=key, Body=body, ChecksumAlgorithm="CRC32")
        return key

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(store, range(len(sizes))))


def measure(contender: str, keys: Path, target: str) -> dict[str, float]:
    """Run a contender in a process of its own and return its measurements."""
    command = [sys.executable, "-m", "benchmarks.archive.contenders", contender, target, str(keys)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(process.stderr)
    measurements: dict[str, float] = json.loads(process.stdout)
    return measurements


class _ObjectReader:
    """A file object that reads an object of S3 by ranges, for ``zipfile`` to open an archive of any size."""

    def __init__(self, s3: Any, key: str) -> None:
        self._s3, self._key, self._offset = s3, key, 0
        self._size = s3.head_object(Bucket="exports", Key=key)["ContentLength"]

    def seek(self, offset: int, whence: int = 0) -> int:
        self._offset = offset + (0, self._offset, self._size)[whence]
        return self._offset

    def tell(self) -> int:
        return self._offset

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._offset + size)
        if self._offset >= end:
            return b""
        byte_range = f"bytes={self._offset}-{end - 1}"
        data: bytes = self._s3.get_object(Bucket="exports", Key=self._key, Range=byte_range)["Body"].read()
        self._offset = end
        return data


def verify(s3: Any, key: str, file_count: int) -> None:
    """Check that an archive contains every file, and check the checksums of a hundred of them.

    Raises:
        RuntimeError: A file is missing.
        zipfile.BadZipFile: A checksum is wrong.
    """
    reader: IO[bytes] = _ObjectReader(s3, key)  # type: ignore[assignment]  # zipfile calls only these methods
    with zipfile.ZipFile(reader) as archive:
        names = [name for name in archive.namelist() if name != "manifest.json"]
        if len(names) != file_count:
            raise RuntimeError(f"{key} contains {len(names)} of {file_count} files")
        for name in names[:: max(1, file_count // 100)]:
            with archive.open(name) as file:
                while file.read(MIB):
                    pass


def medians(measurements: Measurements) -> dict[str, dict[str, float]]:
    """Return the median of each measurement of each contender."""
    return {
        contender: {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        for contender, runs in measurements.items()
    }


def table_rows(workload: str, measurements: Measurements) -> list[str]:
    """Return a row of the Markdown table for each contender."""
    this_project = medians(measurements)[THIS_PROJECT]
    return [
        f"| {workload} | {contender} | {median['seconds']:.2f} s | {median['seconds'] / this_project['seconds']:.2f} |"
        f" {median['cpu']:.2f} s | {median['memory'] / MIB:.0f} MiB | {median['bytes'] / MIB:,.0f} MiB |"
        f" {median['requests']:,.0f} |"
        for contender, median in medians(measurements).items()
    ]


def summarize(workload: str, measurements: Measurements) -> str:
    """Return a Markdown list item that compares this project with the faster of its peers."""
    figures = medians(measurements)
    this_project = figures[THIS_PROJECT]
    faster_peer = min((figures[peer] for peer in PEERS), key=lambda peer: peer["seconds"])
    return (
        f"- {workload}: {faster_peer['seconds'] / this_project['seconds']:.1f} times as fast as the faster peer, with"
        f" {this_project['bytes'] / faster_peer['bytes']:.1%} of the bytes transferred."
    )


def main() -> None:
    """Measure all workloads, print the results and write docs/benchmarks/archive.md."""
    parser = argparse.ArgumentParser(description="Measure how fast the contenders make archives.")
    parser.add_argument(
        "--runs", type=int, default=3, help="runs of each contender and workload; the medians are reported"
    )
    parser.add_argument("--only", help="run only the workloads whose names start with this; write no file")
    arguments = parser.parse_args()
    table = [
        f"| workload | contender | time | ÷ {THIS_PROJECT} | CPU | peak memory | transferred | requests |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    summaries = []
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        for name, sizes in workloads().items():
            if arguments.only and not name.startswith(arguments.only):
                continue
            measurements: Measurements = {contender: [] for contender in CONTENDERS}
            for number in range(arguments.runs):
                with run_s3_server() as s3:  # a new server for each run, because SeaweedFS frees deleted data late
                    keys.write_text("\n".join(store_files(s3, name, sizes)))
                    for contender in CONTENDERS:
                        target = f"{contender}.zip"
                        measurements[contender].append(measure(contender, keys, target))
                        if number == 0 and contender in {THIS_PROJECT, *PEERS}:
                            verify(s3, target, len(sizes))
            table += table_rows(name, measurements)
            summaries.append(summarize(name, measurements))
            print("\n".join([*table[-len(CONTENDERS) :], summaries[-1]]), flush=True)
    if not arguments.only:
        RESULTS_FILE.parent.mkdir(exist_ok=True)
        RESULTS_FILE.write_text(
            "# Archives: assembled in S3, and streamed through a process\n\n"
            f"Measured on {describe_machine()}. SeaweedFS, the S3 server, runs on the same machine. The figures are"
            f" medians of {arguments.runs} runs, in which the contenders take turns. Run `make benchmark-archive` to"
            " repeat the measurement.\n\n"
            + "\n".join(summaries)
            + "\n\n"
            + "\n".join(table)
            + "\n\n*Transferred* counts the bytes of all requests and responses of the process. *Copies only* makes no"
            " archive: S3 copies each file unchanged, 16 at a time. That is the server's share of the work, which every"
            " archive assembled in S3 needs. The server does it on the same cores.\n"
        )


if __name__ == "__main__":
    main()
