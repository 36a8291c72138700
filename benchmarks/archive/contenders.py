"""The contenders of the archive benchmark. As a program: runs one of them and prints its measurements as JSON."""

import argparse
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.httpsession import URLLib3Session

from projects_api import settings
from projects_api.domain.exports.assembler import COPY_THREADS, ArchiveAssembler
from projects_api.domain.exports.snapshot import pin_artifacts
from projects_api.entities.ids import ProjectId, ResourceId, UserId
from projects_api.entities.project import Member, Project, Role
from projects_api.entities.resource import Artifact, Resource, ResourceType
from projects_api.entities.snapshot import Content
from projects_api.entities.user import Email

NOW = datetime(2026, 2, 10, 9, tzinfo=UTC)
PROJECT = ProjectId("00000000-0000-7000-8000-000000000000")
CHUNK_SIZE = 1 << 16


def assemble_in_s3(keys: list[str], target: str) -> None:
    """Make the archive as an export of this project does."""
    user = UserId("00000000-0000-7000-8000-000000000001")
    project = Project(PROJECT, "Benchmark", "", user, NOW, NOW)
    resources = [
        Resource(ResourceId(key), ResourceType.MODEL, key, NOW, "", {}, Artifact(key, "application/octet-stream"))
        for key in keys
    ]
    content = Content(project, [Member(user, Email("a@example.com"), "A", Role.OWNER, NOW)], resources)
    ArchiveAssembler(pin_artifacts(content), resumed=False, should_continue=lambda: True).assemble(
        target, lambda number: f"{target}-{number}"
    )


def stream_with_stream_zip(keys: list[str], target: str) -> None:
    """Make the archive with stream-zip, without compression, streamed into boto3's multipart upload."""
    import stream_zip  # noqa: PLC0415 - only in the process of this contender

    s3 = boto3.client("s3")
    members = ((key, NOW, 0o644, stream_zip.ZIP_64, _read_chunks(s3, key)) for key in keys)
    archive = stream_zip.stream_zip(
        members, chunk_size=CHUNK_SIZE, get_compressobj=lambda: zlib.compressobj(0, wbits=-zlib.MAX_WBITS)
    )
    _upload(s3, target, archive)


def stream_with_zipstream_ng(keys: list[str], target: str) -> None:
    """Make the archive with zipstream-ng, without compression, streamed into boto3's multipart upload."""
    from zipstream import ZIP_STORED, ZipStream  # noqa: PLC0415 - as above

    s3 = boto3.client("s3")
    archive = ZipStream(compress_type=ZIP_STORED)
    for key in keys:
        archive.add(_read_chunks(s3, key), key)
    _upload(s3, target, archive)


def copy_only(keys: list[str], target: str) -> None:
    """Let S3 copy each file unchanged and make no archive. That is the server's share of assembling one in S3."""
    s3 = boto3.client("s3", config=Config(max_pool_connections=COPY_THREADS))

    def copy(key: str) -> None:
        s3.copy_object(
            Bucket=settings.exports_bucket(),
            Key=f"{target}/{key}",
            CopySource={"Bucket": settings.artifacts_bucket(), "Key": key},
        )

    with ThreadPoolExecutor(COPY_THREADS) as pool:
        list(pool.map(copy, keys))


def _read_chunks(s3: Any, key: str) -> Iterator[bytes]:
    yield from s3.get_object(Bucket=settings.artifacts_bucket(), Key=key)["Body"].iter_chunks(CHUNK_SIZE)


def _upload(s3: Any, target: str, chunks: Iterable[bytes]) -> None:
    s3.upload_fileobj(_ChunkReader(chunks), settings.exports_bucket(), target)


class _ChunkReader:
    """A file object that reads from chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        pieces, missing = [self._rest], size - len(self._rest)
        while missing > 0 and (chunk := next(self._chunks, b"")):
            pieces.append(chunk)
            missing -= len(chunk)
        data = b"".join(pieces)
        self._rest = data[size:]
        return data[:size]


#: The label in the results of the contender that is this project.
THIS_PROJECT = "projects-api"

#: Each contender takes the keys of the files and the key of the archive.
CONTENDERS: dict[str, Callable[[list[str], str], None]] = {
    THIS_PROJECT: assemble_in_s3,
    "stream-zip": stream_with_stream_zip,
    "zipstream-ng": stream_with_zipstream_ng,
    "copies only": copy_only,
}


class TrafficCounter:
    """A counter of the requests of this process to S3 and of the bytes of all request and response bodies."""

    def __init__(self) -> None:
        self.requests = self.bytes = 0
        self._lock = threading.Lock()
        send = URLLib3Session.send

        def send_and_count(session: URLLib3Session, request: Any) -> Any:
            response = send(session, request)
            with self._lock:
                self.requests += 1
                self.bytes += int(request.headers.get("Content-Length") or 0)
                if request.method != "HEAD":
                    self.bytes += int(response.headers.get("Content-Length") or 0)
            return response

        URLLib3Session.send = send_and_count  # type: ignore[method-assign, assignment]  # patched for this process


def peak_memory() -> int:
    """Return the peak memory of this process, in bytes.

    It is read from /proc, because ``getrusage`` includes the memory of the parent process at the time of the fork.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    """Run one contender and print its measurements: seconds, CPU seconds, peak memory, bytes and requests."""
    parser = argparse.ArgumentParser(description="Make one archive and print the measurements as JSON.")
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("target", help="the key of the archive in the exports bucket")
    parser.add_argument("keys", type=Path, help="a file with the keys of the artifacts, one per line")
    arguments = parser.parse_args()
    keys = arguments.keys.read_text().split()
    traffic = TrafficCounter()
    started, cpu_started = time.perf_counter(), time.process_time()
    CONTENDERS[arguments.contender](keys, arguments.target)
    measurements = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu_started,
        "memory": peak_memory(),
        "bytes": traffic.bytes,
        "requests": traffic.requests,
    }
    print(json.dumps(measurements))


if __name__ == "__main__":
    main()
