"""Artifacts: what sibling services keep in the artifacts bucket. They are only ever read."""

import base64
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from projects_api import settings
from projects_api.archive.crc32 import combined
from projects_api.model.entities import artifacts_prefix
from projects_api.model.ids import ProjectId
from projects_api.storage import clients, reading
from projects_api.storage.errors import translated

#: How much of an artifact is held at a time, in bytes, where it is read for its checksum.
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of an artifact's bytes; to read or copy any other fails.

    Attributes:
        key: The object's.
        etag: Which content.
        size: In bytes.
    """

    key: str
    etag: str
    size: int


def pins(project_id: ProjectId) -> Iterator[Pin]:
    """What the artifacts of a project are now, 1,000 a request."""
    pages = clients.s3().get_paginator("list_objects_v2")
    with translated():
        for page in pages.paginate(Bucket=settings.artifacts_bucket(), Prefix=artifacts_prefix(project_id)):
            for one in page.get("Contents", []):
                yield Pin(one["Key"], one["ETag"], one["Size"])


def read(pin: Pin, *, start: int, size: int) -> bytes:
    """``size`` bytes of an artifact from ``start`` on.

    Raises:
        ObjectMissingError: It is gone, or not what it was.
    """
    whole = size == pin.size
    return reading.get(
        settings.artifacts_bucket(), pin.key, etag=pin.etag, byte_range=None if whole else (start, start + size - 1)
    )


def crc32(pin: Pin) -> int | None:
    """The CRC-32 of an artifact: the one that S3 keeps, or that of its parts combined; None where it has neither.

    Raises:
        ObjectMissingError: It is gone, or not what it was.
    """
    bucket = settings.artifacts_bucket()
    with translated():
        head = clients.s3().head_object(Bucket=bucket, Key=pin.key, IfMatch=pin.etag, ChecksumMode="ENABLED")
    kept = head.get("ChecksumCRC32", "")
    if not kept:
        return None
    if head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in kept:
        return _decoded(kept)
    return _combined_crc32(pin)


def read_crc32(pin: Pin, checksum: int, *, start: int, size: int) -> int:
    """The CRC-32 of an artifact's bytes as far as ``start + size``, which are read from ``start`` on.

    Args:
        pin: The artifact.
        checksum: That of its bytes before ``start``.
        start: Where to begin.
        size: How many to read.

    Raises:
        ObjectMissingError: It is gone, or not what it was.
    """
    with translated():
        answer = clients.s3().get_object(
            Bucket=settings.artifacts_bucket(),
            Key=pin.key,
            IfMatch=pin.etag,
            Range=f"bytes={start}-{start + size - 1}",
        )
        return reduce(lambda known, chunk: zlib.crc32(chunk, known), answer["Body"].iter_chunks(CHUNK), checksum)


def _combined_crc32(pin: Pin) -> int | None:
    """The CRC-32 of an artifact that was uploaded in parts (S3 calls its own COMPOSITE), if S3 tells that of each."""
    checksum, size, marker = 0, 0, 0
    while True:
        with translated():
            found = clients.s3().get_object_attributes(
                Bucket=settings.artifacts_bucket(),
                Key=pin.key,
                ObjectAttributes=["ETag", "ObjectParts"],
                PartNumberMarker=marker,
            )
        parts = found.get("ObjectParts", {})
        for part in parts.get("Parts", []):
            if "ChecksumCRC32" not in part:
                return None
            checksum = combined(checksum, _decoded(part["ChecksumCRC32"]), part["Size"])
            size += part["Size"]
        if not parts.get("IsTruncated"):
            same = found.get("ETag", "").strip('"') == pin.etag.strip('"')
            return checksum if same and size == pin.size else None
        marker = int(parts["NextPartNumberMarker"])


def _decoded(checksum: str) -> int:
    return int.from_bytes(base64.b64decode(checksum))
