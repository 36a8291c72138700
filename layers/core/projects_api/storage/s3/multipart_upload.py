"""Multipart uploads to the exports bucket that can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from projects_api import settings
from projects_api.entities.snapshot import Pin
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors
from projects_api.storage.s3.archive_store import CONTENT_TYPE

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef


class MultipartUpload:
    """A multipart upload of an object to the exports bucket. Part numbers start at 1.

    Attributes:
        existing_parts: The sizes in bytes, by part number, of the parts that an earlier run has uploaded.
    """

    def __init__(self, key: str, *, resumed: bool) -> None:
        """Start or resume an upload.

        Args:
            key: The key of the object.
            resumed: Whether to resume the oldest unfinished upload of the key, if there is one. Others are aborted.
        """
        self._target: dict[str, Any] = {"Bucket": settings.exports_bucket(), "Key": key}
        self._etags: dict[int, str] = {}
        with translate_aws_errors():
            unfinished = list(_list_upload_ids(key)) if resumed else []
            for upload_id in unfinished[1:]:
                clients.s3().abort_multipart_upload(**self._target, UploadId=upload_id)
            self._target["UploadId"] = (
                unfinished[0]
                if unfinished
                else clients.s3().create_multipart_upload(**self._target, ContentType=CONTENT_TYPE)["UploadId"]
            )
        self.existing_parts: dict[int, int] = self._list_parts() if unfinished else {}

    def _list_parts(self) -> dict[int, int]:
        sizes = {}
        with translate_aws_errors():
            for page in clients.s3().get_paginator("list_parts").paginate(**self._target):
                for part in page.get("Parts", []):
                    self._etags[part["PartNumber"]] = part["ETag"]
                    sizes[part["PartNumber"]] = part["Size"]
        return sizes

    def put_part(self, number: int, data: bytes | bytearray) -> None:
        """Upload a part."""
        with translate_aws_errors():
            response = clients.s3().upload_part(
                **self._target,
                PartNumber=number,
                Body=data,  # type: ignore[arg-type]  # botocore accepts a bytearray
            )
        self._etags[number] = response["ETag"]

    def copy_artifact(self, number: int, pin: Pin, *, start: int, size: int) -> None:
        """Copy ``size`` bytes of an artifact, from the offset ``start``, into a part.

        Raises:
            ObjectMissingError: The artifact was deleted or has changed.
        """
        source: CopySourceTypeDef = {"Bucket": settings.artifacts_bucket(), "Key": pin.key}
        self._copy(number, source, start, size, {"CopySourceIfMatch": pin.etag})

    def copy_from_exports(self, number: int, key: str, start: int, size: int) -> None:
        """Copy ``size`` bytes of another object in the exports bucket, from the offset ``start``, into a part."""
        self._copy(number, {"Bucket": settings.exports_bucket(), "Key": key}, start, size, {})

    def _copy(self, number: int, source: CopySourceTypeDef, start: int, size: int, condition: dict[str, Any]) -> None:
        with translate_aws_errors():
            response = clients.s3().upload_part_copy(
                **self._target,
                **condition,
                PartNumber=number,
                CopySource=source,
                CopySourceRange=f"bytes={start}-{start + size - 1}",
            )
        self._etags[number] = response["CopyPartResult"]["ETag"]

    def complete(self) -> None:
        """Create the object from all parts."""
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())
        ]
        with translate_aws_errors():
            clients.s3().complete_multipart_upload(**self._target, MultipartUpload={"Parts": parts})


def _list_upload_ids(key: str) -> Iterator[str]:
    """Return the ids of the unfinished uploads of an object, the oldest first."""
    pages = clients.s3().get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=settings.exports_bucket(), Prefix=key):
        yield from (upload["UploadId"] for upload in page.get("Uploads", []) if upload["Key"] == key)
