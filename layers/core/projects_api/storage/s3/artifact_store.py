"""Artifacts: what sibling services keep in the artifacts bucket. They are only ever read."""

import base64
import zlib
from collections.abc import Iterator
from functools import reduce

from projects_api import settings
from projects_api.archive.crc32 import combine_crc32
from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import artifacts_prefix
from projects_api.entities.snapshot import Pin
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors
from projects_api.storage.s3 import fast_get

#: How much of an artifact is held at a time, in bytes, where it is read for its checksum.
CHUNK = 1 << 20


def pins(project_id: ProjectId) -> Iterator[Pin]:
    """What the artifacts of a project are now, 1,000 a request."""
    pages = clients.s3().get_paginator("list_objects_v2")
    with translate_aws_errors():
        for page in pages.paginate(Bucket=settings.artifacts_bucket(), Prefix=artifacts_prefix(project_id)):
            for one in page.get("Contents", []):
                yield Pin(one["Key"], one["ETag"], one["Size"])


def read(pin: Pin, *, start: int, size: int) -> bytes:
    """``size`` bytes of an artifact from ``start`` on.

    Raises:
        ObjectMissingError: It is gone, or not what it was.
    """
    whole = size == pin.size
    return fast_get.get(
        settings.artifacts_bucket(), pin.key, etag=pin.etag, byte_range=None if whole else (start, start + size - 1)
    )


def crc32(pin: Pin) -> int | None:
    """The CRC-32 of an artifact: the one that S3 keeps, or that of its parts combine_crc32; None where it has neither.

    Raises:
        ObjectMissingError: It is gone, or not what it was.
    """
    bucket = settings.artifacts_bucket()
    with translate_aws_errors():
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
    with translate_aws_errors():
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
        with translate_aws_errors():
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
            checksum = combine_crc32(checksum, _decoded(part["ChecksumCRC32"]), part["Size"])
            size += part["Size"]
        if not parts.get("IsTruncated"):
            same = found.get("ETag", "").strip('"') == pin.etag.strip('"')
            return checksum if same and size == pin.size else None
        marker = int(parts["NextPartNumberMarker"])


def _decoded(checksum: str) -> int:
    return int.from_bytes(base64.b64decode(checksum))
