"""Multipart uploads to the exports bucket that can be resumed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from projects_api import settings
from projects_api.entities.content import Pin
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors, translate_object_errors
from projects_api.storage.s3.archive_store import CONTENT_TYPE
from projects_api.storage.s3.object_crc32 import decode_crc32

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef

#: With this algorithm, S3 returns the CRC-32 of every part, copied parts included
#: (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyPartResult.html). The type COMPOSITE would require all of
#: them again in CompleteMultipartUpload.
CHECKSUMS: dict[str, Any] = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}


class UploadedPart(NamedTuple):
    """A part that S3 has.

    Attributes:
        size: The size in bytes.
        crc32: The CRC-32, or None if the server does not return any.
    """

    size: int
    crc32: int | None


class ExportsObject(NamedTuple):
    """An object in the exports bucket as the source of a copy.

    Attributes:
        key: The key.
        size: The size of the whole object in bytes.
        etag: The ETag that the object must have. If it is empty, any ETag is accepted.
    """

    key: str
    size: int
    etag: str = ""


class MultipartUpload:
    """A multipart upload of an object to the exports bucket. Part numbers start at 1.

    Attributes:
        existing_parts: The parts that an earlier run has uploaded, by their number.
    """

    def __init__(self, key: str, *, resumed: bool = False, checksums: bool = True) -> None:
        """Start or resume an upload.

        Args:
            key: The key of the object.
            resumed: Whether to resume the oldest unfinished upload of the key, if there is one. Others are aborted.
            checksums: Whether S3 is to return the CRC-32s of parts. This must be the same when the upload is resumed.
        """
        self._target: dict[str, Any] = {"Bucket": settings.exports_bucket(), "Key": key}
        self._checksums = checksums
        self._etags: dict[int, str] = {}
        with translate_aws_errors():
            unfinished = list(list_upload_ids(self._target["Bucket"], key)) if resumed else []
            for upload_id in unfinished[1:]:
                clients.s3().abort_multipart_upload(**self._target, UploadId=upload_id)
            self._target["UploadId"] = (
                unfinished[0]
                if unfinished
                else clients.s3().create_multipart_upload(
                    **self._target, ContentType=CONTENT_TYPE, **(CHECKSUMS if checksums else {})
                )["UploadId"]
            )
        self.existing_parts: dict[int, UploadedPart] = self._list_parts() if unfinished else {}

    def _list_parts(self) -> dict[int, UploadedPart]:
        parts = {}
        with translate_aws_errors():
            for page in clients.s3().get_paginator("list_parts").paginate(**self._target):
                for part in page.get("Parts", []):
                    self._etags[part["PartNumber"]] = part["ETag"]
                    parts[part["PartNumber"]] = UploadedPart(part["Size"], decode_crc32(part.get("ChecksumCRC32")))
        return parts

    def put_part(self, number: int, data: bytes | bytearray) -> None:
        """Upload a part, with a checksum that S3 verifies."""
        checksum: dict[str, Any] = (
            {"ChecksumAlgorithm": "CRC32"}
            if self._checksums
            else {"ContentMD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()}
        )
        with translate_aws_errors():
            response = clients.s3().upload_part(
                **self._target,
                **checksum,
                PartNumber=number,
                Body=data,  # type: ignore[arg-type]  # botocore accepts a bytearray
            )
        self._etags[number] = response["ETag"]

    def copy_artifact(self, number: int, pin: Pin, *, start: int, size: int) -> int | None:
        """Copy ``size`` bytes of an artifact, from the offset ``start``, into a part.

        Returns:
            The CRC-32 of the bytes, or None if the server does not return any.

        Raises:
            ObjectMissingError: The artifact was deleted or has changed.
            ObjectRefusedError: S3 refuses access to the artifact, or to the upload.
        """
        source: CopySourceTypeDef = {"Bucket": settings.artifacts_bucket(), "Key": pin.key}
        return self._copy(number, source, start, size, source_size=pin.size, etag=pin.etag)

    def copy_from_exports(self, number: int, source: ExportsObject, start: int, size: int) -> int | None:
        """Copy ``size`` bytes of another object in the exports bucket, from the offset ``start``, into a part.

        Returns:
            The CRC-32 of the bytes, or None if the server does not return any.

        Raises:
            ObjectMissingError: The object was deleted or has changed.
            ObjectRefusedError: S3 refuses access to the object, or to the upload.
        """
        copied: CopySourceTypeDef = {"Bucket": settings.exports_bucket(), "Key": source.key}
        return self._copy(number, copied, start, size, source_size=source.size, etag=source.etag)

    def _copy(
        self, number: int, source: CopySourceTypeDef, start: int, size: int, *, source_size: int, etag: str
    ) -> int | None:
        """Copy ``size`` bytes from the offset ``start`` into a part, and return the CRC-32.

        The range of a whole object is left out: S3 copies a range only of an object of more than 5 MiB
        (https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html).
        """
        options: dict[str, Any] = {"CopySourceIfMatch": etag} if etag else {}
        if size < source_size:
            options["CopySourceRange"] = f"bytes={start}-{start + size - 1}"
        client = clients.s3() if size <= clients.MAX_QUICK_COPY else clients.s3_for_large_copies()
        with translate_object_errors():
            response = client.upload_part_copy(**self._target, **options, PartNumber=number, CopySource=source)
        result = response["CopyPartResult"]
        self._etags[number] = result["ETag"]
        return decode_crc32(result.get("ChecksumCRC32"))

    def complete(self) -> None:
        """Create the object from all parts."""
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())
        ]
        with translate_aws_errors():
            clients.s3().complete_multipart_upload(
                **self._target,
                MultipartUpload={"Parts": parts},
                **({"ChecksumType": CHECKSUMS["ChecksumType"]} if self._checksums else {}),
            )

    def abort(self) -> None:
        """Delete all parts."""
        with translate_aws_errors():
            clients.s3().abort_multipart_upload(**self._target)


def list_upload_ids(bucket: str, key: str) -> Iterator[str]:
    """Return the ids of the unfinished uploads of an object, the oldest first."""
    pages = clients.s3().get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=bucket, Prefix=key):
        yield from (upload["UploadId"] for upload in page.get("Uploads", []) if upload["Key"] == key)
