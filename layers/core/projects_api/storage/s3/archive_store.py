"""Archives: what is made in the exports bucket, and handed out from it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from projects_api import settings
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.entities.project import Project
from projects_api.storage import clients
from projects_api.storage.aws_errors import ObjectMissingError, translate_aws_errors
from projects_api.storage.s3 import bucket_cleanup

if TYPE_CHECKING:
    pass

#: How long a signed URL lives, in seconds. One signed with a function's own credentials dies with them, whatever its
#: stated life, so that a longer one would promise too much.
URL_LIFETIME = 15 * 60

CONTENT_TYPE = "application/zip"


def exports_prefix(project_id: ProjectId) -> str:
    """Where everything of a project's exports lies."""
    return f"{project_id}/"


def archive_key(project_id: ProjectId, export_id: ExportId) -> str:
    """Where an export's archive lies."""
    return f"{exports_prefix(project_id)}{export_id}.zip"


def work_file_key(project_id: ProjectId, export_id: ExportId, name: str) -> str:
    """Where a worker keeps what it needs of an export until that is finished."""
    return f"{exports_prefix(project_id)}{export_id}/{name}"


def object_size(key: str) -> int | None:
    """The size of an object in bytes, if it is there."""
    try:
        with translate_aws_errors():
            return clients.s3().head_object(Bucket=settings.exports_bucket(), Key=key)["ContentLength"]
    except ObjectMissingError:
        return None


def exists(project_id: ProjectId, export_id: ExportId) -> bool:
    """Whether an export's archive is in the bucket."""
    return object_size(archive_key(project_id, export_id)) is not None


def read(key: str) -> bytes | None:
    """An object, if it is there."""
    try:
        with translate_aws_errors():
            return clients.s3().get_object(Bucket=settings.exports_bucket(), Key=key)["Body"].read()
    except ObjectMissingError:
        return None


def write(key: str, data: bytes | bytearray, *, content_type: str = CONTENT_TYPE) -> None:
    """Writes an object, in the place of what was there."""
    with translate_aws_errors():
        clients.s3().put_object(
            Bucket=settings.exports_bucket(),
            Key=key,
            Body=data,  # type: ignore[arg-type]  # botocore takes a bytearray
            ContentType=content_type,
        )


def delete(key: str) -> None:
    """Deletes an object, if it is there."""
    with translate_aws_errors():
        clients.s3().delete_object(Bucket=settings.exports_bucket(), Key=key)


def delete_work_files(project_id: ProjectId, export_id: ExportId) -> None:
    """Removes what workers left of a finished export, beside its archive: uploads and what they kept."""
    bucket, stem = settings.exports_bucket(), f"{exports_prefix(project_id)}{export_id}"
    bucket_cleanup.abort_uploads(bucket, stem)
    bucket_cleanup.delete_objects(bucket, f"{stem}/")


def signed_url(project: Project, export_id: ExportId) -> str:
    """A URL that anybody may get the archive from for 15 minutes, under a file name made of the project's."""
    with translate_aws_errors():
        return clients.s3().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": settings.exports_bucket(),
                "Key": archive_key(project.id, export_id),
                "ResponseContentDisposition": content_disposition(project.name),
                "ResponseContentType": CONTENT_TYPE,
            },
            ExpiresIn=URL_LIFETIME,
        )


def content_disposition(project_name: str) -> str:
    """``attachment`` with the project's name as the file's, in ASCII and in full (RFC 6266, section 5)."""
    name = (
        "".join(c if c.isprintable() and c not in '"\\/<>:|?*%' else "_" for c in project_name).strip(" .") or "project"
    )
    ascii_name = "".join(c if c.isascii() else "_" for c in name)
    return f"attachment; filename=\"{ascii_name}.zip\"; filename*=UTF-8''{quote(name, safe='')}.zip"
