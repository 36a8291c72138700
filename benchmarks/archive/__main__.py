"""Runs the contenders in turn on one S3 server, verifies what they made, and writes the table."""

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

from benchmarks.archive.contenders import CONTENDERS, PROJECT
from benchmarks.machine import machine
from local.engines import seaweedfs

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "benchmarks" / "archive.md"
KIB, MIB = 1 << 10, 1 << 20
PEERS = ("stream-zip", "zipstream-ng")
BUCKETS = {"ARTIFACTS_BUCKET": "artifacts", "EXPORTS_BUCKET": "exports"}


def workloads() -> dict[str, list[int]]:
    """The sizes of the files of each, in bytes."""
    chance = random.Random(2026)
    return {
        "few large: 4 × 256 MiB": [256 * MIB] * 4,
        "mixed: 200 × 1 to 64 MiB": [chance.randrange(MIB, 64 * MIB) for _ in range(200)],
        "many small: 5,000 × 20 KiB": [20 * KIB] * 5_000,
    }


@contextmanager
def s3_server() -> Iterator[Any]:
    """SeaweedFS with both buckets, and the environment that leads there."""
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


def stored(s3: Any, name: str, sizes: list[int]) -> list[str]:
    """Puts files of random bytes into the artifacts bucket; returns their keys."""
    noise = random.Random(name).randbytes(80 * MIB)

    def put(number: int) -> str:
        key = f"projects/{PROJECT}/{name.partition(':')[0].replace(' ', '-')}/{number:05}.bin"
        start = number * 997 % (16 * MIB)
        if sizes[number] <= 64 * MIB:
            s3.put_object(
                Bucket="artifacts", Key=key, Body=noise[start : start + sizes[number]], ChecksumAlgorithm="CRC32"
            )
        else:
            with tempfile.TemporaryFile() as body:
                for _ in range(sizes[number] // (64 * MIB)):
                    body.write(noise[start : start + 64 * MIB])
                body.seek(0)
                s3.put_object(Bucket="artifacts", Key=key, Body=body, ChecksumAlgorithm="CRC32")
        return key

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(put, range(len(sizes))))


def run(contender: str, keys: Path, target: str) -> dict[str, float]:
    """What a contender took, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.archive.contenders", contender, target, str(keys)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    took: dict[str, float] = json.loads(done.stdout)
    return took


class _Object:
    """An object of S3, to be read as a file, so that zipfile can look at an archive of any size."""

    def __init__(self, s3: Any, key: str) -> None:
        self._s3, self._key, self._place = s3, key, 0
        self._size = s3.head_object(Bucket="exports", Key=key)["ContentLength"]

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        end = self._size if size < 0 else min(self._size, self._place + size)
        if self._place >= end:
            return b""
        where = f"bytes={self._place}-{end - 1}"
        data: bytes = self._s3.get_object(Bucket="exports", Key=self._key, Range=where)["Body"].read()
        self._place = end
        return data


def verify(s3: Any, key: str, files: int) -> None:
    """Every file of an archive is there, and a hundred of them have the bytes that their checksums tell."""
    archive: IO[bytes] = _Object(s3, key)  # type: ignore[assignment]  # zipfile needs no more of a file
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name != "manifest.json"]
        if len(names) != files:
            raise RuntimeError(f"{key} holds {len(names)} of {files} files")
        for name in names[:: max(1, files // 100)]:
            with opened.open(name) as file:
                while file.read(MIB):
                    pass


Results = dict[str, list[dict[str, float]]]


def medians(results: Results) -> dict[str, dict[str, float]]:
    return {
        contender: {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
        for contender, runs in results.items()
    }


def rows(workload: str, results: Results) -> list[str]:
    ours = medians(results)["this"]
    return [
        f"| {workload} | {contender} | {took['seconds']:.2f} s | {took['seconds'] / ours['seconds']:.2f} |"
        f" {took['cpu']:.2f} s | {took['memory'] / MIB:.0f} MiB | {took['bytes'] / MIB:,.0f} MiB |"
        f" {took['requests']:,.0f} |"
        for contender, took in medians(results).items()
    ]


def verdict(workload: str, results: Results) -> str:
    took = medians(results)
    ours, faster = took["this"], min((took[peer] for peer in PEERS), key=lambda peer: peer["seconds"])
    return (
        f"- {workload}: {faster['seconds'] / ours['seconds']:.1f} times as fast as the faster peer, and"
        f" {ours['bytes'] / faster['bytes']:.1%} of its bytes moved."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each contender and workload; their medians are shown")
    parser.add_argument("--only", help="the workloads whose names begin so")
    given = parser.parse_args()
    table = [
        "| workload | contender | time | ÷ this | CPU | peak memory | moved through it | requests |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        for name, sizes in workloads().items():
            if given.only and not name.startswith(given.only):
                continue
            results: Results = {contender: [] for contender in CONTENDERS}
            for number in range(given.runs):
                with s3_server() as s3:  # a new one, since what is deleted is not soon off its disk
                    keys.write_text("\n".join(stored(s3, name, sizes)))
                    for contender in CONTENDERS:
                        target = f"{contender}.zip"
                        results[contender].append(run(contender, keys, target))
                        if number == 0 and contender in {"this", *PEERS}:
                            verify(s3, target, len(sizes))
            table += rows(name, results)
            verdicts.append(verdict(name, results))
            print("\n".join([*table[-len(CONTENDERS) :], verdicts[-1]]), flush=True)
    if not given.only:
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(
            f"# Archives: assembled in S3, and piped through a process\n\n"
            f"TakenLease on {machine()}, which SeaweedFS, an S3 server, shares with the contenders. Medians of {given.runs}"
            " runs, taken in turn; `make benchmark-archive` takes them anew.\n\n"
            + "\n".join(verdicts)
            + "\n\n"
            + "\n".join(table)
            + "\n\n*Copies alone* makes no archive: S3 copies each file as it is, 16 at a time. That is the server's"
            " share, which no archive made inside it can do without, and for which the server uses the same cores.\n"
        )


if __name__ == "__main__":
    main()
