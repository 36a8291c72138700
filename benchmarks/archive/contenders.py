"""The contenders of the archive benchmark. As a program: runs one of them and prints its measurements as JSON."""

import argparse
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.response import StreamingBody

from projects_api import settings
from projects_api.archive.plan import COPY_PART_SIZE, MIN_PART_SIZE
from projects_api.domain.exports.assembler import COPY_THREADS, ArchiveAssembler
from projects_api.domain.exports.previous_archive import PreviousArchive, find_previous_archive
from projects_api.domain.exports.snapshot import pin_artifacts
from projects_api.entities.content import Content
from projects_api.entities.ids import ExportId, ProjectId, ResourceId, UserId
from projects_api.entities.project import Member, Project, Role
from projects_api.entities.resource import Artifact, Resource, ResourceType
from projects_api.entities.user import Email
from projects_api.storage import clients
from projects_api.storage.s3 import archive_store, artifact_store
from projects_api.storage.s3.get_connection import GetConnection, GetResponse
from projects_api.storage.s3.multipart_upload import CHECKSUMS

NOW = datetime(2026, 2, 10, 9, tzinfo=UTC)
PROJECT = ProjectId("00000000-0000-7000-8000-000000000000")
CHUNK_SIZE = 1 << 16


def assemble_in_s3(keys: list[str], target: str) -> None:
    """Make the archive as the first export of this project does."""
    _assemble(keys, target, None)


def assemble_after_change(keys: list[str], target: str) -> None:
    """Make the archive as an export of this project does whose previous archive is that of ``assemble_in_s3``."""
    first = ExportId(THIS_PROJECT)
    previous = find_previous_archive(PROJECT, first)
    if previous is None:
        raise RuntimeError("The first archive or its index is missing.")
    _assemble(keys, target, previous)


def _assemble(keys: list[str], target: str, previous: PreviousArchive | None) -> None:
    user = UserId("00000000-0000-7000-8000-000000000001")
    project = Project(PROJECT, "Benchmark", "", user, NOW, NOW)
    resources = [
        Resource(ResourceId(key), ResourceType.MODEL, key, NOW, "", {}, Artifact(key, "application/octet-stream"))
        for key in keys
    ]
    content = Content(project, [Member(user, Email("a@example.com"), "A", Role.OWNER, NOW)], resources)
    snapshot = pin_artifacts(content, previous, should_continue=lambda: True)
    assembler = ArchiveAssembler(snapshot, resumed=False, should_continue=lambda: True)
    export_id = ExportId(target)
    key = archive_store.archive_key(PROJECT, export_id)
    assembler.assemble(key, lambda name: archive_store.work_file_key(PROJECT, export_id, name))
    archive = archive_store.describe(key)
    if archive is None:
        raise RuntimeError("The archive is missing.")
    archive_store.write(archive_store.index_key(PROJECT, export_id), assembler.build_index(key, archive)[0])
    archive_store.delete_work_files(PROJECT, export_id)


def stream_with_stream_zip(keys: list[str], target: str) -> None:
    """Make the archive with stream-zip, without compression, streamed into boto3's multipart upload."""
    import stream_zip  # noqa: PLC0415 - would count in the memory of the other contenders

    s3 = boto3.client("s3")
    members = ((key, NOW, 0o644, stream_zip.ZIP_64, _read_chunks(s3, key)) for key in keys)
    archive = stream_zip.stream_zip(
        members, chunk_size=CHUNK_SIZE, get_compressobj=lambda: zlib.compressobj(0, wbits=-zlib.MAX_WBITS)
    )
    _upload(s3, archive_store.archive_key(PROJECT, ExportId(target)), archive)


def stream_with_zipstream_ng(keys: list[str], target: str) -> None:
    """Make the archive with zipstream-ng, without compression, streamed into boto3's multipart upload."""
    from zipstream import ZIP_STORED, ZipStream  # noqa: PLC0415 - as above

    s3 = boto3.client("s3")
    archive = ZipStream(compress_type=ZIP_STORED)
    for key in keys:
        archive.add(_read_chunks(s3, key), key)
    _upload(s3, archive_store.archive_key(PROJECT, ExportId(target)), archive)


def copy_only(keys: list[str], target: str) -> None:
    """Let S3 copy each file unchanged and make no archive: a limit for copies without a checksum."""
    s3 = boto3.client("s3", config=Config(max_pool_connections=COPY_THREADS))

    def copy(key: str) -> None:
        s3.copy_object(
            Bucket=settings.exports_bucket(),
            Key=f"{target}/{key}",
            CopySource={"Bucket": settings.artifacts_bucket(), "Key": key},
        )

    with ThreadPoolExecutor(COPY_THREADS) as pool:
        list(pool.map(copy, keys))


def copy_with_checksums(keys: list[str], target: str) -> None:
    """Let S3 copy each file into parts of an upload and return their CRC-32s: a limit for archives of new files.

    The parts have the sizes of an archive's copied parts. A file that is too small for a part is copied on its own.
    """
    s3 = boto3.client("s3", config=Config(max_pool_connections=COPY_THREADS))
    bucket, artifacts = settings.exports_bucket(), settings.artifacts_bucket()
    sizes = {artifact.pin.key: artifact.pin.size for artifact in artifact_store.list_all(PROJECT)}
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key=target, **CHECKSUMS)["UploadId"]

    def copy_small(key: str) -> None:
        s3.copy_object(Bucket=bucket, Key=f"{target}/{key}", CopySource={"Bucket": artifacts, "Key": key})

    def copy(number: int, key: str, start: int, end: int) -> None:
        s3.upload_part_copy(
            Bucket=bucket,
            Key=target,
            UploadId=upload_id,
            PartNumber=number,
            CopySource={"Bucket": artifacts, "Key": key},
            CopySourceRange=f"bytes={start}-{end - 1}",
        )

    with ThreadPoolExecutor(COPY_THREADS) as pool:
        copies = []
        for key in keys:
            size = sizes[key]
            if size < MIN_PART_SIZE:
                copies.append(pool.submit(copy_small, key))
                continue
            count = -(-size // COPY_PART_SIZE)
            for piece in range(count):
                bounds = size * piece // count, size * (piece + 1) // count
                copies.append(pool.submit(copy, len(copies) + 1, key, *bounds))
        for done in copies:
            done.result()


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

#: The label of this project's export after one file of the project has changed.
AFTER_CHANGE = "projects-api, after one change"

#: The labels of the two ways to copy without making an archive.
COPIES, CHECKSUM_COPIES = "copies only", "copies with CRC-32s"

#: Each contender takes the keys of the files and the key of the archive.
CONTENDERS: dict[str, Callable[[list[str], str], None]] = {
    THIS_PROJECT: assemble_in_s3,
    "stream-zip": stream_with_stream_zip,
    "zipstream-ng": stream_with_zipstream_ng,
    COPIES: copy_only,
    CHECKSUM_COPIES: copy_with_checksums,
    AFTER_CHANGE: assemble_after_change,
}


#: List prices in eu-west-1, in dollars: of a PUT, COPY, POST or LIST request, of a GET or HEAD request
#: (https://aws.amazon.com/s3/pricing), and of a second of a function with 1,769 MB
#: (https://aws.amazon.com/lambda/pricing, x86). DELETE requests and transfers within a region are free.
WRITE_PRICE, READ_PRICE, SECOND_PRICE = 5e-6, 4e-7, 1.769 * 1.66667e-5


class TrafficCounter:
    """A counter of the requests of this process to S3 and of the bytes of all request and response bodies."""

    def __init__(self) -> None:
        self.requests = self.bytes = 0
        self.price = 0.0
        self._lock = threading.Lock()
        send, get, read = URLLib3Session.send, GetConnection.get, StreamingBody.read

        def send_and_count(session: URLLib3Session, request: Any) -> Any:
            response = send(session, request)
            # of a streamed body, what is read counts: smart_open leaves most of some responses
            size = 0 if request.stream_output else int(response.headers.get("Content-Length") or 0)
            self._count(request.method, request.url, request.headers, size)
            return response

        def read_and_count(body: StreamingBody, amt: int | None = None) -> bytes:
            data = read(body, amt)
            with self._lock:
                self.bytes += len(data)
            return data

        def get_and_count(connection: GetConnection, path: str, headers: Mapping[str, str]) -> GetResponse:
            response = get(connection, path, headers)
            self._count("GET", path, headers, len(response.content))
            return response

        # never stopped: the process ends with the contender
        patch.object(URLLib3Session, "send", send_and_count).start()
        patch.object(GetConnection, "get", get_and_count).start()
        patch.object(StreamingBody, "read", read_and_count).start()

    def _count(self, method: str, url: str, headers: Mapping[str, str], response_size: int) -> None:
        is_list = method == "GET" and any(part in url for part in ("list-type", "?uploads", "versions"))
        with self._lock:
            self.requests += 1
            self.bytes += int(headers.get("Content-Length") or 0)
            if method in {"GET", "HEAD"} and not is_list:
                self.price += READ_PRICE
            elif method != "DELETE":
                self.price += WRITE_PRICE
            if method != "HEAD":
                self.bytes += response_size


def peak_memory() -> int:
    """Return the peak memory of this process, in bytes.

    It is read from /proc, because ``getrusage`` includes the memory of the parent process at the time of the fork.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    """Run one contender and print its measurements: seconds, CPU seconds, peak memory, bytes, requests and dollars."""
    parser = argparse.ArgumentParser(description="Make one archive and print the measurements as JSON.")
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("target", help="the id of the export whose archive is made")
    parser.add_argument("keys", type=Path, help="a file with the keys of the artifacts, one per line")
    arguments = parser.parse_args()
    keys = arguments.keys.read_text().split()
    traffic = TrafficCounter()
    clients.s3()  # a function creates it before its first invocation,
    boto3.client("s3")  # which is faster for the second client of a process: the other contenders get the same
    started, cpu_started = time.perf_counter(), time.process_time()
    CONTENDERS[arguments.contender](keys, arguments.target)
    seconds = time.perf_counter() - started
    measurements = {
        "seconds": seconds,
        "cpu": time.process_time() - cpu_started,
        "memory": peak_memory(),
        "bytes": traffic.bytes,
        "requests": traffic.requests,
        "price": traffic.price + seconds * SECOND_PRICE,
    }
    print(json.dumps(measurements))


if __name__ == "__main__":
    main()
