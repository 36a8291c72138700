"""One contender makes one archive, in a process of its own, and says what it took."""

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
CHUNK = 1 << 16


def ours(keys: list[str], target: str) -> None:
    """This project: the plan of an archive, carried out."""
    user = UserId("00000000-0000-7000-8000-000000000001")
    project = Project(PROJECT, "Benchmark", "", user, NOW, NOW)
    resources = [
        Resource(ResourceId(key), ResourceType.MODEL, key, NOW, "", {}, Artifact(key, "application/octet-stream"))
        for key in keys
    ]
    content = Content(project, [Member(user, Email("a@example.com"), "A", Role.OWNER, NOW)], resources)
    ArchiveAssembler(pin_artifacts(content), resumed=False, should_continue=lambda: True).make(
        target, lambda number: f"{target}-{number}"
    )


def stream_zip(keys: list[str], target: str) -> None:
    """stream-zip, without compression, piped into boto3's own multipart upload."""
    import stream_zip as library  # noqa: PLC0415 - not in the process of another contender

    s3 = boto3.client("s3")
    members = ((key, NOW, 0o644, library.ZIP_64, _chunks(s3, key)) for key in keys)
    archive = library.stream_zip(
        members, chunk_size=CHUNK, get_compressobj=lambda: zlib.compressobj(0, wbits=-zlib.MAX_WBITS)
    )
    _upload(s3, target, archive)


def zipstream_ng(keys: list[str], target: str) -> None:
    """zipstream-ng, without compression, piped into boto3's own multipart upload."""
    from zipstream import ZIP_STORED, ZipStream  # noqa: PLC0415 - as above

    s3 = boto3.client("s3")
    archive = ZipStream(compress_type=ZIP_STORED)
    for key in keys:
        archive.add(_chunks(s3, key), key)
    _upload(s3, target, archive)


def copies_alone(keys: list[str], target: str) -> None:
    """No archive: S3 copies each file as it is, which is the least that an archive made inside S3 could take."""
    s3 = boto3.client("s3", config=Config(max_pool_connections=COPY_THREADS))

    def copy(key: str) -> None:
        s3.copy_object(
            Bucket=settings.exports_bucket(),
            Key=f"{target}/{key}",
            CopySource={"Bucket": settings.artifacts_bucket(), "Key": key},
        )

    with ThreadPoolExecutor(COPY_THREADS) as pool:
        list(pool.map(copy, keys))


def _chunks(s3: Any, key: str) -> Iterator[bytes]:
    yield from s3.get_object(Bucket=settings.artifacts_bucket(), Key=key)["Body"].iter_chunks(CHUNK)


def _upload(s3: Any, target: str, chunks: Iterable[bytes]) -> None:
    s3.upload_fileobj(_Pipe(chunks), settings.exports_bucket(), target)


class _Pipe:
    """Chunks, to be read as a file."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        pieces, wanted = [self._left], size - len(self._left)
        while wanted > 0 and (chunk := next(self._chunks, b"")):
            pieces.append(chunk)
            wanted -= len(chunk)
        whole = b"".join(pieces)
        self._left = whole[size:]
        return whole[:size]


CONTENDERS: dict[str, Callable[[list[str], str], None]] = {
    "this": ours,
    "stream-zip": stream_zip,
    "zipstream-ng": zipstream_ng,
    "copies alone": copies_alone,
}


class Traffic:
    """What goes through this process to S3 and back: requests, and the bytes of their bodies."""

    def __init__(self) -> None:
        self.requests = self.bytes = 0
        self._lock = threading.Lock()
        send = URLLib3Session.send

        def counted(session: URLLib3Session, request: Any) -> Any:
            answer = send(session, request)
            with self._lock:
                self.requests += 1
                self.bytes += int(request.headers.get("Content-Length") or 0)
                if request.method != "HEAD":
                    self.bytes += int(answer.headers.get("Content-Length") or 0)
            return answer

        URLLib3Session.send = counted


def peak_memory() -> int:
    """The most memory that this process has held, in bytes; getrusage would tell its parent's, which it came from."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("target")
    parser.add_argument("keys", type=Path, help="a file with the keys, a line each")
    given = parser.parse_args()
    keys = given.keys.read_text().split()
    traffic = Traffic()
    started, processor = time.perf_counter(), time.process_time()
    CONTENDERS[given.contender](keys, given.target)
    took = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - processor,
        "memory": peak_memory(),
        "bytes": traffic.bytes,
        "requests": traffic.requests,
    }
    print(json.dumps(took))


if __name__ == "__main__":
    main()
