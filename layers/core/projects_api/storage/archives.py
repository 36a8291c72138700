"""Archives: what is made in the exports bucket, and handed out from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from projects_api import settings
from projects_api.model.entities import Project
from projects_api.model.ids import ExportId, ProjectId
from projects_api.storage import clients, objects
from projects_api.storage.artifacts import Pin
from projects_api.storage.errors import ObjectMissingError, translated

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, CopySourceTypeDef

#: How long a signed URL lives, in seconds. One signed with a function's own credentials dies with them, whatever its
#: stated life, so that a longer one would promise too much.
URL_LIFE = 15 * 60

CONTENT_TYPE = "application/zip"


def prefix_of(project_id: ProjectId) -> str:
    """Where everything of a project's exports lies."""
    return f"{project_id}/"


def key_of(project_id: ProjectId, export_id: ExportId) -> str:
    """Where an export's archive lies."""
    return f"{prefix_of(project_id)}{export_id}.zip"


def work_key(project_id: ProjectId, export_id: ExportId, name: str) -> str:
    """Where a worker keeps what it needs of an export until that is finished."""
    return f"{prefix_of(project_id)}{export_id}/{name}"


def size_of(key: str) -> int | None:
    """The size of an object in bytes, if it is there."""
    try:
        with translated():
            return clients.s3().head_object(Bucket=settings.exports_bucket(), Key=key)["ContentLength"]
    except ObjectMissingError:
        return None


def is_there(project_id: ProjectId, export_id: ExportId) -> bool:
    """Whether an export's archive is in the bucket."""
    return size_of(key_of(project_id, export_id)) is not None


def read(key: str) -> bytes | None:
    """An object, if it is there."""
    try:
        with translated():
            return clients.s3().get_object(Bucket=settings.exports_bucket(), Key=key)["Body"].read()
    except ObjectMissingError:
        return None


def write(key: str, data: bytes | bytearray, *, content_type: str = CONTENT_TYPE) -> None:
    """Writes an object, in the place of what was there."""
    with translated():
        clients.s3().put_object(
            Bucket=settings.exports_bucket(),
            Key=key,
            Body=data,  # type: ignore[arg-type]  # botocore takes a bytearray
            ContentType=content_type,
        )


def delete(key: str) -> None:
    """Deletes an object, if it is there."""
    with translated():
        clients.s3().delete_object(Bucket=settings.exports_bucket(), Key=key)


def clear_up(project_id: ProjectId, export_id: ExportId) -> None:
    """Removes what workers left of a finished export, beside its archive: uploads and what they kept."""
    bucket, stem = settings.exports_bucket(), f"{prefix_of(project_id)}{export_id}"
    objects.abort_uploads(bucket, stem)
    objects.delete_objects(bucket, f"{stem}/")


class Upload:
    """A multipart upload of an object. Parts are numbered from 1.

    Attributes:
        present: The sizes in bytes of the parts that were there already, by their numbers.
    """

    def __init__(self, key: str, *, resumed: bool) -> None:
        """Starts an upload of ``key``, or where ``resumed``, goes on with one that was started before."""
        self._where: dict[str, Any] = {"Bucket": settings.exports_bucket(), "Key": key}
        self._etags: dict[int, str] = {}
        with translated():
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
        with translated():
            for page in clients.s3().get_paginator("list_parts").paginate(**self._where):
                for part in page.get("Parts", []):
                    self._etags[part["PartNumber"]] = part["ETag"]
                    sizes[part["PartNumber"]] = part["Size"]
        return sizes

    def put(self, number: int, data: bytes | bytearray) -> None:
        """Uploads a part."""
        with translated():
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

    def copy_made(self, number: int, key: str, start: int, size: int) -> None:
        """Makes S3 copy a range of another object of the exports bucket into a part."""
        self._copy(number, {"Bucket": settings.exports_bucket(), "Key": key}, start, size, {})

    def _copy(self, number: int, source: CopySourceTypeDef, start: int, size: int, condition: dict[str, Any]) -> None:
        with translated():
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
        with translated():
            clients.s3().complete_multipart_upload(**self._where, MultipartUpload={"Parts": parts})


def _uploads_of(key: str) -> Iterator[str]:
    """The uploads of an object, the oldest first."""
    pages = clients.s3().get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=settings.exports_bucket(), Prefix=key):
        yield from (upload["UploadId"] for upload in page.get("Uploads", []) if upload["Key"] == key)


def signed_url(project: Project, export_id: ExportId) -> str:
    """A URL that anybody may get the archive from for 15 minutes, under a file name made of the project's."""
    with translated():
        return clients.s3().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": settings.exports_bucket(),
                "Key": key_of(project.id, export_id),
                "ResponseContentDisposition": content_disposition(project.name),
                "ResponseContentType": CONTENT_TYPE,
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
