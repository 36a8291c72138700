"""The program of `make benchmark-imports`: imports an archive of 1 GiB, verifies the files, writes the results."""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import uuid
import zipfile
import zlib
from pathlib import Path
from typing import Any

from benchmarks.archive.__main__ import MIB, ROOT, run_s3_server
from benchmarks.imports.contenders import CONTENDERS, IMPORT, OTHER_PREFIX, PROJECT, THIS_PROJECT, USUAL_WAY
from benchmarks.machine import describe_machine
from projects_api.storage.s3 import import_source

RESULTS_FILE = ROOT / "docs" / "benchmarks" / "imports.md"

#: The files of the archive: their number, and the size of each in bytes.
FILE_COUNT, FILE_SIZE = 4, 256 * MIB

TITLE = "# Imports: copied inside S3, and read and put\n"

NOTES = """*Transferred* counts the bodies of all requests and responses between the process and S3. *Share* relates
them to the archive. *smart_open and zipfile* is the usual way: zipfile reads each file through smart_open, and boto3
uploads it. Both verify the CRC-32 of every file. The items in the table are not measured.

Run `make benchmark-imports` to repeat the measurement.
"""


def write_archive(path: Path) -> dict[str, int]:
    """Write the archive, and return the CRC-32 of each file by its path."""
    blocks = random.Random(2026).randbytes(64 * MIB)
    resources: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(FILE_COUNT):
            name, resource_id, checksum = f"models/{number}.bin", str(uuid.UUID(int=number, version=4)), 0
            with archive.open(name, "w") as file:
                for start in range(0, FILE_SIZE, 32 * MIB):
                    block = blocks[start // (32 * MIB) * MIB + number :][: 32 * MIB]
                    checksum = zlib.crc32(block, checksum)
                    file.write(block)
            resources.append(
                {"id": resource_id, "type": "model", "name": name, "timestamp": "2026-02-10T09:00:00.000000Z",
                 "origin": None, "path": name}
            )  # fmt: skip
            files.append(
                {"path": name, "file_name": None, "size": FILE_SIZE, "crc32": f"{checksum:08x}",
                 "content_type": "application/octet-stream", "resource_id": resource_id}
            )  # fmt: skip
        project = {"id": str(uuid.UUID(int=9, version=4)), "name": "Benchmark", "description": ""}
        manifest = {"format": "projects-export/2", "project": project, "members": []}
        archive.writestr("manifest.json", json.dumps(manifest | {"resources": resources, "files": files}))
    return {row["path"]: int(row["crc32"], 16) for row in files}


def measure(contender: str) -> dict[str, float]:
    """Run a contender in a process of its own, and return its measurements.

    Raises:
        RuntimeError: The contender failed.
    """
    command = [sys.executable, "-m", "benchmarks.imports.contenders", contender]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(process.stderr)
    measurements: dict[str, float] = json.loads(process.stdout)
    return measurements


def verify(s3: Any, prefix: str, checksums: dict[str, int]) -> None:
    """Check that a contender has written every file, and delete the files.

    Raises:
        RuntimeError: A file is missing, or has other content.
    """
    found = []
    for item in s3.list_objects_v2(Bucket="artifacts", Prefix=prefix).get("Contents", []):
        checksum = 0
        for chunk in s3.get_object(Bucket="artifacts", Key=item["Key"])["Body"].iter_chunks(MIB):
            checksum = zlib.crc32(chunk, checksum)
        found.append(checksum)
        s3.delete_object(Bucket="artifacts", Key=item["Key"])
    if sorted(found) != sorted(checksums.values()):
        raise RuntimeError(f"{prefix} has other files than the archive.")


def main() -> None:
    """Measure both contenders in turn, print the results and write docs/benchmarks/imports.md."""
    parser = argparse.ArgumentParser(description="Measure how fast the contenders import an archive of 1 GiB.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender; the medians are reported")
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {contender: [] for contender in CONTENDERS}
    prefixes = {THIS_PROJECT: f"projects/{PROJECT}/", USUAL_WAY: OTHER_PREFIX}
    with tempfile.TemporaryDirectory() as folder, run_s3_server() as s3:
        path = Path(folder) / "archive.zip"
        checksums, size = write_archive(path), path.stat().st_size
        s3.upload_file(str(path), "artifacts", import_source.uploaded_archive_key(IMPORT))
        path.unlink()
        for _ in range(arguments.runs):
            for contender in CONTENDERS:
                runs[contender].append(measure(contender))
                verify(s3, prefixes[contender], checksums)
    rows = [
        "| contender | time | CPU | peak memory | transferred | share | requests |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for contender, measured in runs.items():
        median = {figure: statistics.median(run[figure] for run in measured) for figure in measured[0]}
        rows.append(
            f"| {contender} | {median['seconds']:.2f} s | {median['cpu']:.2f} s | {median['memory'] / MIB:.0f} MiB |"
            f" {median['bytes'] / MIB:,.2f} MiB | {median['bytes'] / size:.4%} | {median['requests']:,.0f} |"
        )
    pairs = list(zip(runs[USUAL_WAY], runs[THIS_PROJECT], strict=True))
    times, processor, traffic = (
        statistics.median(other[figure] / own[figure] for other, own in pairs) for figure in ("seconds", "cpu", "bytes")
    )
    text = (
        f"Measured on {describe_machine()}. SeaweedFS, the S3 server, runs on the same machine. The archive has"
        f" {FILE_COUNT} stored files of {FILE_SIZE // MIB} MiB. The figures are medians of {arguments.runs} runs, in"
        f" which the contenders take turns.\n\nThe import is {times:.1f} times as fast as the usual way, with"
        f" 1/{processor:.0f} of its processor time, and 1/{traffic:,.0f} of the bytes pass through the worker.\n\n"
        + "\n".join(rows)
        + "\n"
    )
    print(text)
    RESULTS_FILE.write_text(f"{TITLE}\n{text}\n{NOTES}")


if __name__ == "__main__":
    main()
