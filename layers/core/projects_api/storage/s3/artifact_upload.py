"""Multipart uploads to the artifacts bucket, whose parts users upload with signed URLs.

The object carries the id of its upload in its metadata. After a lost response, S3 knows the multipart upload no longer,
and the metadata tells whether it was completed.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from projects_api import settings
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import UploadId
from projects_api.entities.upload import Upload
from projects_api.storage import clients
from projects_api.storage.aws_errors import ObjectMissingError, UploadMissingError, translate_aws_errors
from projects_api.storage.s3.signed_urls import URL_LIFETIME

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: Maximum number of parts that one request lists.
PAGE_SIZE = 1_000

#: How long a request waits for S3 to assemble the parts, in seconds. S3 can take minutes, and sends spaces meanwhile
#: (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
ASSEMBLY_TIMEOUT = 15.0

_METADATA = "upload-id"


class AssemblyPendingError(Exception):
    """S3 may still be assembling the parts. Completing the upload again later is safe."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that is in S3.

    Attributes:
        size: The size in bytes.
        etag: The ETag of the part.
    """

    size: int
    etag: str


def start(key: str, upload_id: UploadId, *, content_type: str) -> str:
    """Start a multipart upload and return its id in S3.

    The upload has no checksum algorithm: S3 could reject a part without a checksum, and curl sends none.
    """
    with translate_aws_errors():
        return clients.s3().create_multipart_upload(
            Bucket=settings.artifacts_bucket(), Key=key, ContentType=content_type, Metadata={_METADATA: upload_id}
        )["UploadId"]


def sign_part(upload: Upload, number: int) -> str:
    """Return a URL that accepts one part, of exactly the part's size, for ``URL_LIFETIME``.

    The signature covers the Content-Length, so S3 rejects a request of another size with 403.
    """
    with translate_aws_errors():
        return clients.s3().generate_presigned_url(
            "upload_part",
            Params={
                "Bucket": settings.artifacts_bucket(),
                "Key": upload.key,
                "UploadId": upload.s3_upload_id,
                "PartNumber": number,
                "ContentLength": upload.part_size(number),
            },
            ExpiresIn=int(URL_LIFETIME.total_seconds()),
        )


def list_parts(upload: Upload, *, after: int = 0, limit: int | None = None) -> dict[int, StoredPart]:
    """Return the parts that are in S3, by number.

    Args:
        upload: The upload.
        after: Return only parts with a greater number.
        limit: Maximum number of parts to return. By default, all of them.

    Raises:
        UploadMissingError: The multipart upload was completed or aborted.
    """
    parts: dict[int, StoredPart] = {}
    marker = after
    while True:
        with translate_aws_errors():
            page = clients.s3().list_parts(
                Bucket=settings.artifacts_bucket(),
                Key=upload.key,
                UploadId=upload.s3_upload_id,
                PartNumberMarker=marker,
                MaxParts=PAGE_SIZE,
            )
        for part in page.get("Parts", []):
            parts[part["PartNumber"]] = StoredPart(part["Size"], part["ETag"])
        if not page.get("IsTruncated") or (limit is not None and len(parts) >= limit):
            return parts
        marker = page["NextPartNumberMarker"]


def complete(upload: Upload, parts: dict[int, StoredPart]) -> None:
    """Create the object from its parts. From then on, no URL of a part changes anything.

    Raises:
        AssemblyPendingError: S3 has not finished in time, or did not respond.
        PartsChangedError: A part was uploaded again after it was listed, or S3 does not accept the parts.
        UploadMissingError: The multipart upload was completed or aborted.
    """
    completed: list[CompletedPartTypeDef] = [
        {"PartNumber": number, "ETag": part.etag} for number, part in sorted(parts.items())
    ]

    def assemble() -> None:
        with translate_aws_errors():
            clients.s3().complete_multipart_upload(
                Bucket=settings.artifacts_bucket(),
                Key=upload.key,
                UploadId=upload.s3_upload_id,
                MultipartUpload={"Parts": completed},
            )

    pool = ThreadPoolExecutor(1)
    assembly: Future[None] = pool.submit(assemble)
    pool.shutdown(wait=False)
    try:
        assembly.result(ASSEMBLY_TIMEOUT)
    except UploadMissingError:
        raise
    except (FutureTimeoutError, StorageUnavailableError):
        raise AssemblyPendingError from None


def abort(upload: Upload) -> None:
    """Abort a multipart upload, which deletes its parts. One that was completed or aborted before is ignored."""
    try:
        with translate_aws_errors():
            clients.s3().abort_multipart_upload(
                Bucket=settings.artifacts_bucket(), Key=upload.key, UploadId=upload.s3_upload_id
            )
    except UploadMissingError:
        return


def find_version(upload: Upload) -> str | None:
    """Return the version of the object that the upload has created, or None if the current object is not its own."""
    try:
        with translate_aws_errors():
            response = clients.s3().head_object(Bucket=settings.artifacts_bucket(), Key=upload.key)
    except ObjectMissingError:
        return None
    if response["Metadata"].get(_METADATA) != upload.id:
        return None
    return response.get("VersionId", "null")


def delete_version(upload: Upload, version_id: str) -> None:
    """Delete the object that the upload has created. If it had replaced another one, that one is current again."""
    with translate_aws_errors():
        clients.s3().delete_object(Bucket=settings.artifacts_bucket(), Key=upload.key, VersionId=version_id)
