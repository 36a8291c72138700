"""Archives: what is made in the exports bucket, and handed out from it."""

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
    """A multipart upload of an object. Parts are numbered from 1.

    Attributes:
        present: The sizes in bytes of the parts that were there already, by their numbers.
    """

    def __init__(self, key: str, *, resumed: bool) -> None:
        """Starts an upload of ``key``, or where ``resumed``, goes on with one that was started before."""
        self._where: dict[str, Any] = {"Bucket": settings.exports_bucket(), "Key": key}
        self._etags: dict[int, str] = {}
        with translate_aws_errors():
            started = list(_uploads_of(key)) if resumed else []
            for superfluous in started[1:]:
                clients.s3().abort_multipart_upload(**self._where, UploadId=superfluous)
            self._where["UploadId"] = (
                started[0]
                if started
                else clients.s3().create_multipart_upload(**self._where, ContentType=CONTENT_TYPE)["UploadId"]
            )
        self.present: dict[int, int] = self._present() if started else {}

    def _present(self) -> dict[int, int]:
        sizes = {}
        with translate_aws_errors():
            for page in clients.s3().get_paginator("list_parts").paginate(**self._where):
                for part in page.get("Parts", []):
                    self._etags[part["PartNumber"]] = part["ETag"]
                    sizes[part["PartNumber"]] = part["Size"]
        return sizes

    def put(self, number: int, data: bytes | bytearray) -> None:
        """Uploads a part."""
        with translate_aws_errors():
            answer = clients.s3().upload_part(
                **self._where,
                PartNumber=number,
                Body=data,  # type: ignore[arg-type]  # botocore takes a bytearray
            )
        self._etags[number] = answer["ETag"]

    def copy(self, number: int, pin: Pin, *, start: int, size: int) -> None:
        """Makes S3 copy ``size`` bytes of an artifact, from ``start`` on, into a part.

        Raises:
            ObjectMissingError: It is gone, or not what it was.
        """
        source: CopySourceTypeDef = {"Bucket": settings.artifacts_bucket(), "Key": pin.key}
        self._copy(number, source, start, size, {"CopySourceIfMatch": pin.etag})

    def copy_from_exports(self, number: int, key: str, start: int, size: int) -> None:
        """Makes S3 copy a range of another object of the exports bucket into a part."""
        self._copy(number, {"Bucket": settings.exports_bucket(), "Key": key}, start, size, {})

    def _copy(self, number: int, source: CopySourceTypeDef, start: int, size: int, condition: dict[str, Any]) -> None:
        with translate_aws_errors():
            answer = clients.s3().upload_part_copy(
                **self._where,
                **condition,
                PartNumber=number,
                CopySource=source,
                CopySourceRange=f"bytes={start}-{start + size - 1}",
            )
        self._etags[number] = answer["CopyPartResult"]["ETag"]

    def complete(self) -> None:
        """Makes the object of the parts."""
        parts: list[CompletedPartTypeDef] = [
            {"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())
        ]
        with translate_aws_errors():
            clients.s3().complete_multipart_upload(**self._where, MultipartUpload={"Parts": parts})


def _uploads_of(key: str) -> Iterator[str]:
    """The uploads of an object, the oldest first."""
    pages = clients.s3().get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=settings.exports_bucket(), Prefix=key):
        yield from (upload["UploadId"] for upload in page.get("Uploads", []) if upload["Key"] == key)
