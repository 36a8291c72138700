"""CRC-32s in the headers and responses of S3: four bytes in base64, the highest first.

A composite checksum, which S3 computes of the checksums of the parts, is no CRC-32 of the bytes
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef


def encode_crc32(checksum: int) -> str:
    """Return a CRC-32 in the form of S3."""
    return base64.b64encode(checksum.to_bytes(4)).decode()


def decode_crc32(checksum: str | None) -> int | None:
    """Return a CRC-32 of S3, or None if there is none or if it is composite, that is, has a hyphen."""
    return int.from_bytes(base64.b64decode(checksum)) if checksum and "-" not in checksum else None


def read_object_crc32(head: HeadObjectOutputTypeDef) -> int | None:
    """Return the CRC-32 of all bytes of an object, or None if the response to HeadObject has none.

    Some servers do not state the type of a checksum. That of an object made of parts then counts as composite.
    """
    type_ = head.get("ChecksumType", "COMPOSITE" if "-" in head["ETag"] else "FULL_OBJECT")
    return decode_crc32(head.get("ChecksumCRC32")) if type_ == "FULL_OBJECT" else None
