"""The checksums that S3 returns of copied parts, which moto does not return."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from projects_api.storage.s3.object_crc32 import encode_crc32


@contextmanager
def checksums_of_copied_parts() -> Iterator[None]:
    """Have moto return the CRC-32 of each part, as S3 does in uploads with ``ChecksumAlgorithm=CRC32``.

    See https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyPartResult.html and API_ListParts.html.
    """
    make_api_call = BaseClient._make_api_call  # type: ignore[attr-defined]  # in no stub

    def read_checksum(parameters: Any, number: int) -> str:
        bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[parameters["Bucket"]]
        return encode_crc32(zlib.crc32(bucket.multiparts[parameters["UploadId"]].parts[number].value))

    def make_call_with_checksums(client: BaseClient, name: str, parameters: Any) -> Any:
        response = make_api_call(client, name, parameters)
        if name == "UploadPartCopy":
            response["CopyPartResult"]["ChecksumCRC32"] = read_checksum(parameters, parameters["PartNumber"])
        if name == "ListParts":
            for part in response.get("Parts", []):
                part["ChecksumCRC32"] = read_checksum(parameters, part["PartNumber"])
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", make_call_with_checksums)
        yield
