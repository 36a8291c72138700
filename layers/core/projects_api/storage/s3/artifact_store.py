"""Artifacts in the artifacts bucket, which sibling services put there and users upload."""

import zlib
from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

from projects_api import settings
from projects_api.entities.content import Pin
from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import Artifact, artifacts_prefix
from projects_api.storage import clients
from projects_api.storage.aws_errors import ObjectMissingError, translate_aws_errors, translate_object_errors
from projects_api.storage.s3 import fast_get
from projects_api.storage.s3.object_crc32 import decode_crc32, read_object_crc32
from projects_api.storage.s3.signed_urls import URL_LIFETIME, content_disposition

#: Bytes that ``read_crc32`` holds in memory at a time.
CHUNK = 1 << 20


#: Storage classes whose objects S3 does not return until they are restored
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html).
ARCHIVED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class ListedArtifact(NamedTuple):
    """An artifact in a listing of the bucket.

    Attributes:
        pin: A pin of the artifact's current state.
        archived: Whether the artifact must be restored before it can be read.
    """

    pin: Pin
    archived: bool


class StoredChecksum(NamedTuple):
    """A checksum that S3 keeps of an object or of one of its parts.

    Attributes:
        crc32: The CRC-32, unsigned.
        size: The size of the object or part in bytes.
    """

    crc32: int
    size: int


def list_all(project_id: ProjectId) -> Iterator[ListedArtifact]:
    """Return all artifacts of a project.

    One request lists up to 1,000 artifacts (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html).
    """
    pages = clients.s3().get_paginator("list_objects_v2")
    with translate_aws_errors():
        for page in pages.paginate(
            Bucket=settings.artifacts_bucket(),
            Prefix=artifacts_prefix(project_id),
            OptionalObjectAttributes=["RestoreStatus"],
        ):
            for summary in page.get("Contents", []):
                restored = "RestoreExpiryDate" in summary.get("RestoreStatus", {})
                yield ListedArtifact(
                    Pin(summary["Key"], summary["ETag"], summary["Size"]),
                    archived=summary.get("StorageClass") in ARCHIVED_CLASSES and not restored,
                )


def read_size(key: str) -> int | None:
    """Return the size of an artifact in bytes, or None if it does not exist."""
    try:
        with translate_aws_errors():
            return clients.s3().head_object(Bucket=settings.artifacts_bucket(), Key=key)["ContentLength"]
    except ObjectMissingError:
        return None


def signed_url(artifact: Artifact, *, file_name: str) -> str:
    """Return a URL that anybody can download an artifact from for ``URL_LIFETIME``, also in ranges.

    Args:
        artifact: The artifact.
        file_name: The name that a browser saves the file under.
    """
    with translate_aws_errors():
        return clients.s3().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": settings.artifacts_bucket(),
                "Key": artifact.key,
                "ResponseContentDisposition": content_disposition(file_name),
                "ResponseContentType": artifact.content_type_header,
            },
            ExpiresIn=int(URL_LIFETIME.total_seconds()),
        )


def list_folders(*, after: str) -> Iterator[list[str]]:
    """Yield the names of the projects' folders in the bucket, up to 1,000 at a time, in their order.

    Args:
        after: Start after this folder, or with the first one if it is empty.
    """
    root = "projects/"
    # "0" is the character after "/", so this key is after every key in the folder
    start = f"{root}{after}0" if after else root
    pages = clients.s3().get_paginator("list_objects_v2")
    with translate_aws_errors():
        for page in pages.paginate(Bucket=settings.artifacts_bucket(), Prefix=root, Delimiter="/", StartAfter=start):
            folders = [prefix["Prefix"].removeprefix(root).rstrip("/") for prefix in page.get("CommonPrefixes", [])]
            if folders:
                yield folders


def hide_all(prefix: str) -> Iterator[int]:
    """Put a delete marker on all objects whose key starts with ``prefix``, and yield the number after each page."""
    bucket = settings.artifacts_bucket()
    pages = clients.s3().get_paginator("list_objects_v2")
    with translate_aws_errors():
        for page in pages.paginate(Bucket=bucket, Prefix=prefix):
            keys = [summary["Key"] for summary in page.get("Contents", [])]
            for key in keys:
                clients.s3().delete_object(Bucket=bucket, Key=key)
            yield len(keys)


def delete_versions(key: str) -> None:
    """Delete all versions of one object."""
    bucket = settings.artifacts_bucket()
    with translate_aws_errors():
        for page in clients.s3().get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
            for version in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                if version["Key"] == key:
                    clients.s3().delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])


def read(pin: Pin, *, start: int, size: int) -> bytes:
    """Return ``size`` bytes of an artifact from the offset ``start``.

    Raises:
        ObjectMissingError: The artifact was deleted or has changed.
        ObjectRefusedError: S3 refuses access to the artifact.
    """
    whole = size == pin.size
    return fast_get.get(
        settings.artifacts_bucket(), pin.key, etag=pin.etag, byte_range=None if whole else (start, start + size - 1)
    )


def read_stored_checksums(pin: Pin) -> list[StoredChecksum] | None:
    """Return the CRC-32s that S3 keeps of an artifact: one of the whole object, or one of each part in their order.

    S3 keeps a checksum of the type FULL_OBJECT or COMPOSITE, depending on the upload
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html). Where a server does
    not say which, a checksum of an object in parts, whose ETag ends with their number, counts as COMPOSITE.

    Returns:
        The checksums, or None if S3 does not keep CRC-32s that cover the artifact.

    Raises:
        ObjectMissingError: The artifact was deleted or has changed.
        ObjectRefusedError: S3 refuses access to the artifact.
    """
    bucket = settings.artifacts_bucket()
    with translate_object_errors():
        head = clients.s3().head_object(Bucket=bucket, Key=pin.key, IfMatch=pin.etag, ChecksumMode="ENABLED")
    if not head.get("ChecksumCRC32"):
        return None
    checksum = read_object_crc32(head)
    return list_part_checksums(pin) if checksum is None else [StoredChecksum(checksum, pin.size)]


def list_part_checksums(pin: Pin) -> list[StoredChecksum] | None:
    """Return the CRC-32s that S3 keeps of the parts of an artifact, in their order.

    Returns:
        The checksums, or None if S3 does not return one for each part, or if the artifact has changed.
    """
    checksums: list[StoredChecksum] = []
    marker = 0
    while True:
        with translate_object_errors():
            attributes = clients.s3().get_object_attributes(
                Bucket=settings.artifacts_bucket(),
                Key=pin.key,
                ObjectAttributes=["ETag", "ObjectParts"],
                PartNumberMarker=marker,
            )
        page = attributes.get("ObjectParts", {})
        for part in page.get("Parts", []):
            checksum = decode_crc32(part.get("ChecksumCRC32"))
            if checksum is None:
                return None
            checksums.append(StoredChecksum(checksum, part["Size"]))
        if not page.get("IsTruncated"):
            unchanged = attributes.get("ETag", "").strip('"') == pin.etag.strip('"')
            return checksums if unchanged and sum(part.size for part in checksums) == pin.size else None
        marker = int(page["NextPartNumberMarker"])


def read_crc32(pin: Pin, checksum: int, *, start: int, size: int) -> int:
    """Return the CRC-32 of the first ``start + size`` bytes of an artifact, reading only the last ``size`` of them.

    Args:
        pin: The artifact.
        checksum: The CRC-32 of the first ``start`` bytes.
        start: The offset at which to start reading.
        size: The number of bytes to read.

    Raises:
        ObjectMissingError: The artifact was deleted or has changed.
        ObjectRefusedError: S3 refuses access to the artifact.
    """
    with translate_object_errors():
        response = clients.s3().get_object(
            Bucket=settings.artifacts_bucket(),
            Key=pin.key,
            IfMatch=pin.etag,
            Range=f"bytes={start}-{start + size - 1}",
        )
        return reduce(lambda crc32, chunk: zlib.crc32(chunk, crc32), response["Body"].iter_chunks(CHUNK), checksum)
