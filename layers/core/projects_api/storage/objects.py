"""Artifacts and archives: objects in S3."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING
from urllib.parse import quote
from zlib import crc32

from projects_api import settings
from projects_api.model.entities import Artifact, Project
from projects_api.model.errors import StorageUnavailableError
from projects_api.model.ids import ExportId, ProjectId
from projects_api.storage import clients
from projects_api.storage.errors import translated

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, ObjectIdentifierTypeDef

#: How long a signed URL lives, in seconds. One signed with a function's own credentials dies with them, whatever its
#: stated life, so that a longer one would promise too much.
URL_LIFE = 15 * 60

CHUNK = 1 << 20
DELETE_LIMIT = 1000  # DeleteObjects takes at most this many keys


@dataclass(frozen=True, slots=True)
class PinnedObject:
    """One content of an object, which ``etag`` pins: a read or a copy of another fails."""

    key: str
    etag: str
    size: int
    crc32: int


def archive_key(project_id: ProjectId, export_id: ExportId) -> str:
    return f"{project_id}/{export_id}.zip"


def pin(artifact: Artifact) -> PinnedObject:
    """What the artifact is now. Its CRC-32 is the one that S3 keeps; an object without is read once.

    Raises:
        ObjectMissingError: There is no such object.
    """
    with translated():
        head = clients.s3().head_object(Bucket=settings.artifacts_bucket(), Key=artifact.key, ChecksumMode="ENABLED")
    kept = head.get("ChecksumCRC32", "")
    etag, size = head["ETag"], head["ContentLength"]
    if kept and "-" not in kept and head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        checksum = int.from_bytes(base64.b64decode(kept))
    else:
        checksum = reduce(lambda value, chunk: crc32(chunk, value), _read(artifact.key, etag), 0)
    return PinnedObject(artifact.key, etag, size, checksum)


def _read(key: str, etag: str) -> Iterator[bytes]:
    with translated():
        answer = clients.s3().get_object(Bucket=settings.artifacts_bucket(), Key=key, IfMatch=etag)
        yield from answer["Body"].iter_chunks(CHUNK)


def read(pinned: PinnedObject, *, start: int, size: int) -> bytes:
    """``size`` bytes of an object from ``start`` on.

    Raises:
        ObjectMissingError: It is gone, or not what it was.
    """
    with translated():
        answer = clients.s3().get_object(
            Bucket=settings.artifacts_bucket(),
            Key=pinned.key,
            IfMatch=pinned.etag,
            Range=f"bytes={start}-{start + size - 1}",
        )
        return answer["Body"].read()


class Upload:
    """A multipart upload of an archive. Parts are numbered from 1."""

    def __init__(self, project_id: ProjectId, export_id: ExportId) -> None:
        self._key = archive_key(project_id, export_id)
        with translated():
            answer = clients.s3().create_multipart_upload(
                Bucket=settings.exports_bucket(), Key=self._key, ContentType="application/zip"
            )
        self._id = answer["UploadId"]

    def put(self, number: int, data: bytes) -> CompletedPartTypeDef:
        with translated():
            answer = clients.s3().upload_part(
                Bucket=settings.exports_bucket(), Key=self._key, UploadId=self._id, PartNumber=number, Body=data
            )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def copy(self, number: int, source: PinnedObject, *, start: int, size: int) -> CompletedPartTypeDef:
        """Has S3 copy a range of an artifact.

        Raises:
            ObjectMissingError: It is gone, or not what it was.
        """
        with translated():
            answer = clients.s3().upload_part_copy(
                Bucket=settings.exports_bucket(),
                Key=self._key,
                UploadId=self._id,
                PartNumber=number,
                CopySource={"Bucket": settings.artifacts_bucket(), "Key": source.key},
                CopySourceIfMatch=source.etag,
                CopySourceRange=f"bytes={start}-{start + size - 1}",
            )
        return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}

    def complete(self, parts: list[CompletedPartTypeDef]) -> None:
        with translated():
            clients.s3().complete_multipart_upload(
                Bucket=settings.exports_bucket(),
                Key=self._key,
                UploadId=self._id,
                MultipartUpload={"Parts": parts},
            )

    def abort(self) -> None:
        with translated():
            clients.s3().abort_multipart_upload(Bucket=settings.exports_bucket(), Key=self._key, UploadId=self._id)


def read_archive(project_id: ProjectId, export_id: ExportId) -> bytes:
    """An archive's bytes; for small ones."""
    with translated():
        answer = clients.s3().get_object(Bucket=settings.exports_bucket(), Key=archive_key(project_id, export_id))
        return answer["Body"].read()


def delete_archive(project_id: ProjectId, export_id: ExportId) -> None:
    with translated():
        clients.s3().delete_object(Bucket=settings.exports_bucket(), Key=archive_key(project_id, export_id))


def archive_url(project: Project, export_id: ExportId) -> str:
    """A URL that anybody may get the archive from for 15 minutes, under a file name made of the project's."""
    with translated():
        return clients.s3().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": settings.exports_bucket(),
                "Key": archive_key(project.id, export_id),
                "ResponseContentDisposition": content_disposition(project.name),
                "ResponseContentType": "application/zip",
            },
            ExpiresIn=URL_LIFE,
        )


def content_disposition(project_name: str) -> str:
    """``attachment`` with the project's name as the file's, in ASCII and in full (RFC 6266, section 5)."""
    name = (
        "".join(c if c.isprintable() and c not in '"\\/<>:|?*%' else "_" for c in project_name).strip(" .") or "project"
    )
    ascii_name = "".join(c if c.isascii() else "_" for c in name)
    return f"attachment; filename=\"{ascii_name}.zip\"; filename*=UTF-8''{quote(name, safe='')}.zip"


def delete_everything(bucket: str, prefix: str, *, keep_going: Callable[[], bool]) -> bool:
    """Deletes all objects below ``prefix`` with all their versions, and aborts what is being uploaded there.

    Returns:
        Whether it got to the end before ``keep_going`` said no.
    """
    s3 = clients.s3()
    with translated():
        for versions in s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": DELETE_LIMIT}
        ):
            found: list[ObjectIdentifierTypeDef] = [
                {"Key": version["Key"], "VersionId": version["VersionId"]}
                for version in (*versions.get("Versions", []), *versions.get("DeleteMarkers", []))
            ]
            if found and s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True}).get("Errors"):
                raise StorageUnavailableError
            if not keep_going():
                return False
        for uploads in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            for upload in uploads.get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    return True
