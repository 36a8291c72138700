"""Emptying what lies below a prefix of a bucket, to the last version and upload."""

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

DELETE_LIMIT = 1000  # DeleteObjects takes at most this many keys

#: What XML cannot carry (XML 1.0, section 2.2), and so no DeleteObjects: it would be refused whole.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class _After(TypedDict, total=False):
    """Where a list of uploads goes on."""

    KeyMarker: str
    UploadIdMarker: str


def delete_objects(bucket: str, prefix: str, *, should_continue: Callable[[], bool] = lambda: True) -> bool:
    """Deletes all objects below ``prefix`` with all their versions.

    Returns:
        Whether it got to the end before ``should_continue`` said no.
    """
    s3 = clients.s3()
    with translate_aws_errors():
        for versions in s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": DELETE_LIMIT}
        ):
            found: list[ObjectIdentifierTypeDef] = []
            for version in (*versions.get("Versions", []), *versions.get("DeleteMarkers", [])):
                if _NOT_IN_XML.search(version["Key"]):
                    s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
                else:
                    found.append({"Key": version["Key"], "VersionId": version["VersionId"]})
            if found and s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True}).get("Errors"):
                raise StorageUnavailableError
            if not should_continue():
                return False
    return True


def abort_uploads(bucket: str, prefix: str) -> None:
    """Aborts what is being uploaded below ``prefix``, and frees its parts."""
    s3 = clients.s3()
    after: _After = {}
    with translate_aws_errors():
        while True:
            # botocore does not ask for this by itself, and does not undo it, as it does for objects
            page = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix, EncodingType="url", **after)
            decoded = unquote_plus if page.get("EncodingType") == "url" else str
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=decoded(upload["Key"]), UploadId=upload["UploadId"])
            if not page.get("IsTruncated"):
                return
            after = {"KeyMarker": decoded(page["NextKeyMarker"]), "UploadIdMarker": page["NextUploadIdMarker"]}
