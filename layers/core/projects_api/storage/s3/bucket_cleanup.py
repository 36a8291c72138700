"""Deletion of all objects, versions and unfinished uploads with a key prefix."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import unquote_plus

from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

#: Most keys in one DeleteObjects request (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html).
DELETE_LIMIT = 1000

#: Characters that XML 1.0 does not allow (section 2.2). S3 rejects a whole DeleteObjects request that contains one.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class _UploadMarker(TypedDict, total=False):
    """The parameters of ListMultipartUploads that select the next page."""

    KeyMarker: str
    UploadIdMarker: str


def delete_objects(bucket: str, prefix: str, *, should_continue: Callable[[], bool] = lambda: True) -> bool:
    """Delete all objects whose key starts with ``prefix``, with all their versions.

    Args:
        bucket: The bucket.
        prefix: The key prefix.
        should_continue: Called after each page of up to 1,000 versions. If it returns False, the deletion stops.

    Returns:
        True if everything was deleted, False if the deletion was stopped.

    Raises:
        StorageUnavailableError: S3 could not delete some of the objects, or was not available.
    """
    s3 = clients.s3()
    with translate_aws_errors():
        for page in s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": DELETE_LIMIT}
        ):
            objects: list[ObjectIdentifierTypeDef] = []
            for version in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                if _NOT_IN_XML.search(version["Key"]):
                    s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
                else:
                    objects.append({"Key": version["Key"], "VersionId": version["VersionId"]})
            if objects and s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors"):
                raise StorageUnavailableError
            if not should_continue():
                return False
    return True


def abort_uploads(bucket: str, prefix: str) -> None:
    """Abort all multipart uploads whose key starts with ``prefix``, which deletes their parts."""
    s3 = clients.s3()
    marker: _UploadMarker = {}
    with translate_aws_errors():
        while True:
            # unlike for objects, botocore neither sets EncodingType by default nor decodes the keys
            page = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix, EncodingType="url", **marker)
            decode = unquote_plus if page.get("EncodingType") == "url" else str
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=decode(upload["Key"]), UploadId=upload["UploadId"])
            if not page.get("IsTruncated"):
                return
            marker = {"KeyMarker": decode(page["NextKeyMarker"]), "UploadIdMarker": page["NextUploadIdMarker"]}
