"""The program of `make benchmark-archive`: measures the contenders in turn, verifies the archives, writes the results.

Every run has an S3 server of its own. Every contender runs in a process of its own, and with ``--link`` in a network
namespace, behind a link with the bandwidth of a function on Lambda.
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
from typing import Any

import boto3
import smart_open

from benchmarks.archive.contenders import (
    AFTER_CHANGE,
    CHECKSUM_COPIES,
    CONTENDERS,
    COPIES,
    PROJECT,
    THIS_PROJECT,
)
from benchmarks.archive.link import limited_link, require_tools
from benchmarks.machine import describe_machine
from local.engines import seaweedfs

ROOT = Path(__file__).parents[2]
RESULTS_FILE = ROOT / "docs" / "benchmarks" / "archive.md"
KIB, MIB = 1 << 10, 1 << 20
PEERS = ("stream-zip", "zipstream-ng")
BUCKETS = {"ARTIFACTS_BUCKET": "artifacts", "EXPORTS_BUCKET": "exports"}

#: The most memory that a worker may use, in bytes.
MAX_MEMORY = 150 * MIB

#: Checksums of artifacts: those of the AWS CLI until 2024, of the AWS CLI since 2025, and none.
CHECKSUMS: dict[str, dict[str, str]] = {
    "CRC32": {"ChecksumAlgorithm": "CRC32"},
    "CRC64NVME": {"ChecksumAlgorithm": "CRC64NVME"},
    "none": {},
}

#: The measurements of each contender, one dictionary for each run.
type Measurements = dict[str, list[dict[str, float]]]


def workloads() -> dict[str, list[int]]:
    """Return the workloads by name: the sizes of their files in bytes."""
    generator = random.Random(2026)
    return {
        "few large: 4 × 256 MiB": [256 * MIB] * 4,
        "mixed: 200 × 1 to 64 MiB": [generator.randrange(MIB, 64 * MIB) for _ in range(200)],
        "mixed: 60 × 1 to 64 MiB": [generator.randrange(MIB, 64 * MIB) for _ in range(60)],
        "many small: 5,000 × 20 KiB": [20 * KIB] * 5_000,
    }


TITLE = "# Archives: assembled in S3, and streamed through a process\n"

NOTES = """*Transferred* counts the bytes of all requests and responses of the process. *Copies only* makes no archive:
S3 copies each file unchanged, 16 at a time. *Copies with CRC-32s* copies each file of at least 5 MiB into parts of the
sizes that an archive has, and S3 returns their checksums. The column *÷ copies* is relative to it. *After one change*,
a file in the middle of the project was replaced. The price of 1,000 exports is that of the requests and of the time of
a function with 1,769 MB, at list prices of eu-west-1.

Run `make benchmark-archive` to repeat the measurement.
"""


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


def store_files(s3: Any, name: str, sizes: list[int], checksum: str) -> list[str]:
    """Store files of random bytes in the artifacts bucket and return their keys."""
    random_bytes = random.Random(name).randbytes(80 * MIB)
    folder = name.replace(":", "").replace(" ", "-")

    def store(number: int) -> str:
        key = f"projects/{PROJECT}/{folder}/{number:05}.bin"
        start = number * 997 % (16 * MIB)
        store_file(s3, key, sizes[number], random_bytes=random_bytes, start=start, checksum=checksum)
        return key

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(store, range(len(sizes))))


def store_file(s3: Any, key: str, size: int, *, random_bytes: bytes, start: int, checksum: str) -> None:
    """Store a file of ``size`` bytes, which repeats the random bytes from the offset ``start``."""
    with tempfile.TemporaryFile() as body:
        for written in range(0, size, 64 * MIB):
            body.write(random_bytes[start : start + min(64 * MIB, size - written)])
        body.seek(0)
        s3.put_object(Bucket="artifacts", Key=key, Body=body, **CHECKSUMS[checksum])


def measure(contender: str, keys: Path, target: str, prefix: list[str]) -> dict[str, float]:
    """Run a contender in a process of its own, whose command line starts with ``prefix``; return its measurements."""
    command = [*prefix, sys.executable, "-m", "benchmarks.archive.contenders", contender, target, str(keys)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(process.stderr)
    measurements: dict[str, float] = json.loads(process.stdout)
    return measurements


def verify(s3: Any, key: str, file_count: int) -> None:
    """Check that an archive contains every file, and check the checksums of a hundred of them.

    Raises:
        RuntimeError: A file is missing.
        zipfile.BadZipFile: A checksum is wrong.
    """
    url = f"s3://exports/{key}"
    with smart_open.open(url, "rb", transport_params={"client": s3}) as reader, zipfile.ZipFile(reader) as archive:
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
    figures = medians(measurements)
    copies = figures[CHECKSUM_COPIES]["seconds"]
    return [
        f"| {workload} | {contender} | {median['seconds']:.2f} s | {median['seconds'] / copies:.2f} |"
        f" {median['cpu']:.2f} s | {median['memory'] / MIB:.0f} MiB | {median['bytes'] / MIB:,.2f} MiB |"
        f" {median['requests']:,.0f} | ${1000 * median['price']:,.2f} |"
        for contender, median in figures.items()
    ]


def ratio(measurements: Measurements, contender: str, other: str) -> float:
    """Return the median, over the runs, of the time of one contender relative to that of another one."""
    pairs = zip(measurements[contender], measurements[other], strict=True)
    return statistics.median(run["seconds"] / other_run["seconds"] for run, other_run in pairs)


def summarize(workload: str, sizes: list[int], measurements: Measurements) -> str:
    """Return a Markdown list item that compares this project with the faster of its peers and with copies only."""
    figures = medians(measurements)
    peer = min(PEERS, key=lambda name: figures[name]["seconds"])
    transferred = figures[THIS_PROJECT]["bytes"] / sum(sizes)
    return (
        f"- {workload}: {ratio(measurements, peer, THIS_PROJECT):.1f} times as fast as the faster peer, and"
        f" {ratio(measurements, THIS_PROJECT, CHECKSUM_COPIES):.2f} times the time of copies with CRC-32s and"
        f" {ratio(measurements, THIS_PROJECT, COPIES):.2f} times that of copies only, with"
        f" {transferred:.4%} of the project through the worker. After one change"
        f" {ratio(measurements, peer, AFTER_CHANGE):.1f} times as fast as the faster peer, with"
        f" {figures[AFTER_CHANGE]['bytes'] / figures[THIS_PROJECT]['bytes']:.1%} of the first export's bytes."
    )


def run_workload(name: str, sizes: list[int], checksum: str, arguments: argparse.Namespace) -> Measurements:
    """Measure all contenders of a workload, in turn, and verify their archives in the first run.

    Raises:
        RuntimeError: A file is missing in an archive, or this project used too much memory.
    """
    measurements: Measurements = {contender: [] for contender in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        for number in range(arguments.runs):
            with run_s3_server() as s3, limited_link(os.environ["AWS_ENDPOINT_URL_S3"], arguments.link) as prefix:
                stored = store_files(s3, name, sizes, checksum)
                keys.write_text("\n".join(stored))
                for contender in CONTENDERS:
                    if contender == AFTER_CHANGE:
                        middle = len(sizes) // 2
                        changed = random.Random(1).randbytes(64 * MIB)
                        store_file(s3, stored[middle], sizes[middle], random_bytes=changed, start=0, checksum=checksum)
                    measurements[contender].append(measure(contender, keys, contender, prefix))
                    if number == 0 and contender not in {COPIES, CHECKSUM_COPIES}:
                        verify(s3, f"{PROJECT}/{contender}.zip", len(sizes))
    for contender in (THIS_PROJECT, AFTER_CHANGE):
        memory = max(run["memory"] for run in measurements[contender])
        if memory > MAX_MEMORY:
            print(f"{name}: {contender} used {memory / MIB:.0f} MiB", file=sys.stderr)
    return measurements


def main() -> None:
    """Measure all workloads, print the results and write docs/benchmarks/archive.md."""
    parser = argparse.ArgumentParser(description="Measure how fast the contenders make archives.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each workload; the medians are reported")
    parser.add_argument("--only", default="", help="run only the workloads whose names contain this")
    parser.add_argument("--checksum", choices=CHECKSUMS, help="the checksum of the artifacts, by default each in turn")
    parser.add_argument("--link", type=int, help="megabits per second between the contenders and S3 (as root)")
    parser.add_argument("--append", type=Path, help="append the results to this file instead of replacing the page")
    arguments = parser.parse_args()
    require_tools(arguments.link)
    header = [
        "| workload | contender | time | ÷ copies | CPU | peak memory | transferred | requests | 1,000 exports |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    table: list[str] = []
    summaries = []
    for name, sizes in workloads().items():
        for checksum in [arguments.checksum] if arguments.checksum else CHECKSUMS:
            if arguments.only not in name:
                continue
            workload = f"{name}, {checksum}"
            measurements = run_workload(name, sizes, checksum, arguments)
            rows = table_rows(workload, measurements)
            table += rows
            summaries.append(summarize(workload, sizes, measurements))
            print("\n".join([*rows, summaries[-1]]), flush=True)
    link = f" The contenders are behind a link of {arguments.link} Mbit/s." if arguments.link else ""
    text = (
        f"Measured on {describe_machine()}. SeaweedFS, the S3 server, runs on the same machine.{link} The figures are"
        f" medians of {arguments.runs} runs, in which the contenders take turns.\n\n"
        + "\n".join([*summaries, "", *header, *table])
        + "\n"
    )
    if arguments.append:
        with arguments.append.open("a") as file:
            file.write(f"\n{text}")
    elif not arguments.only and not arguments.checksum:
        RESULTS_FILE.parent.mkdir(exist_ok=True)
        RESULTS_FILE.write_text(f"{TITLE}\n{text}\n{NOTES}")


if __name__ == "__main__":
    main()
