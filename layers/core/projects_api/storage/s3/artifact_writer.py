"""Artifacts that an import writes: from bytes, or copied from a range of an archive inside S3."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from projects_api import settings
from projects_api.storage import clients
from projects_api.storage.aws_errors import ObjectMissingError, translate_aws_errors, translate_object_errors
from projects_api.storage.s3 import import_source
from projects_api.storage.s3.import_source import ImportSource
from projects_api.storage.s3.multipart_upload import UploadedPart, list_upload_ids
from projects_api.storage.s3.object_crc32 import decode_crc32, encode_crc32

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: Bytes that one request reads where S3 returns no checksum of a copied part.
READ_SIZE = 8 << 20


#: Condition of writes. A file exists only after its content was verified, and a second version of it would cost storage
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
_UNLESS_EXISTS = "*"


def put(key: str, data: bytes | bytearray, *, content_type: str, crc32: int) -> None:
    """Write an artifact, unless it exists. S3 rejects the data if its CRC-32 is not ``crc32``."""
    with suppress(ObjectMissingError), translate_object_errors():  # the condition failed: see ``_UNLESS_EXISTS``
        clients.s3().put_object(
            Bucket=settings.artifacts_bucket(),
            Key=key,
            Body=data,  # type: ignore[arg-type]  # botocore accepts a bytearray
            ContentType=content_type,
            ChecksumCRC32=encode_crc32(crc32),
            IfNoneMatch=_UNLESS_EXISTS,
        )


class ArtifactCopy:
    """A multipart upload that copies an artifact from an archive. S3 computes its CRC-32. Part numbers start at 1.

    Each part's CRC-32 is returned by UploadPartCopy and ListParts, "present if the multipart upload request was created
    with the CRC32 checksum algorithm" (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyPartResult.html).

    Args:
        key: The key of the artifact.
        content_type: The content type of the artifact.
        resumed: Whether to resume the oldest unfinished upload of the key, if there is one. Others are aborted.

    Attributes:
        parts: The parts by their number.
    """

    def __init__(self, key: str, *, content_type: str, resumed: bool) -> None:
        self._target: dict[str, Any] = {"Bucket": settings.artifacts_bucket(), "Key": key}
        self._etags: dict[int, str] = {}
        self.parts: dict[int, UploadedPart] = {}
        with translate_object_errors():
            unfinished = list(list_upload_ids(self._target["Bucket"], key)) if resumed else []
            for upload_id in unfinished[1:]:
                clients.s3().abort_multipart_upload(**self._target, UploadId=upload_id)
            if unfinished:
                self._target["UploadId"] = unfinished[0]
                self._list_parts()
            else:
                # FULL_OBJECT, because COMPOSITE requires the checksum of each part to complete the upload
                created = clients.s3().create_multipart_upload(
                    **self._target, ContentType=content_type, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
                )
                self._target["UploadId"] = created["UploadId"]

    def _list_parts(self) -> None:
        for page in clients.s3().get_paginator("list_parts").paginate(**self._target):
            for part in page.get("Parts", []):
                number = part["PartNumber"]
                self._etags[number] = part["ETag"]
                self.parts[number] = UploadedPart(part["Size"], decode_crc32(part.get("ChecksumCRC32")))

    def copy_part(self, number: int, source: ImportSource, *, start: int, size: int) -> UploadedPart:
        """Copy ``size`` bytes of an archive, from the offset ``start``, into a part, and return the part.

        Raises:
            ObjectMissingError: The archive was deleted or has changed.
            ObjectRefusedError: S3 refuses to copy.
        """
        with translate_object_errors():
            result = clients.s3().upload_part_copy(
                **self._target,
                PartNumber=number,
                CopySource={"Bucket": source.bucket, "Key": source.key},
                CopySourceRange=f"bytes={start}-{start + size - 1}",
                CopySourceIfMatch=source.etag,
            )["CopyPartResult"]
        self._etags[number] = result["ETag"]
        self.parts[number] = UploadedPart(size, decode_crc32(result.get("ChecksumCRC32")))
        return self.parts[number]

    def put_part(self, number: int, data: bytes | bytearray) -> None:
        """Upload a part."""
        with translate_object_errors():
            response = clients.s3().upload_part(
                **self._target,
                PartNumber=number,
                Body=data,  # type: ignore[arg-type]  # botocore accepts a bytearray
                ChecksumAlgorithm="CRC32",
            )
        self._etags[number] = response["ETag"]
        self.parts[number] = UploadedPart(len(data), None)

    def complete(self) -> None:
        """Create the artifact from all parts. If it exists, abort the upload."""
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())
        ]
        try:
            with translate_object_errors():
                clients.s3().complete_multipart_upload(
                    **self._target, MultipartUpload={"Parts": parts}, IfNoneMatch=_UNLESS_EXISTS
                )
        except ObjectMissingError:  # the condition failed
            self.abort()

    def abort(self) -> None:
        """Abort the upload, which deletes its parts."""
        with translate_aws_errors():
            clients.s3().abort_multipart_upload(**self._target)


def read_crc32(source: ImportSource, *, start: int, size: int, check: Callable[[], None]) -> int:
    """Return the CRC-32 of ``size`` bytes of an archive from the offset ``start``, by reading them.

    Args:
        source: The archive.
        start: The offset of the first byte.
        size: The number of bytes.
        check: Called before each request. It raises an error to stop.

    Raises:
        ObjectMissingError: The archive was deleted or has changed.
    """
    checksum = 0
    for offset in range(start, start + size, READ_SIZE):
        check()
        checksum = zlib.crc32(import_source.read(source, offset, min(READ_SIZE, start + size - offset)), checksum)
    return checksum
