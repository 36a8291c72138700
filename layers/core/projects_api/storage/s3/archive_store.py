"""Archives and work files in the exports bucket, and signed URLs of archives."""

from urllib.parse import quote

from projects_api import settings
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.entities.project import Project
from projects_api.storage import clients
from projects_api.storage.aws_errors import ObjectMissingError, translate_aws_errors
from projects_api.storage.s3 import bucket_cleanup

#: Lifetime of a signed URL, in seconds. A URL never outlives the function's temporary credentials that sign it.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
URL_LIFETIME = 15 * 60

CONTENT_TYPE = "application/zip"


def exports_prefix(project_id: ProjectId) -> str:
    """Return the key prefix of all archives and work files of a project."""
    return f"{project_id}/"


def archive_key(project_id: ProjectId, export_id: ExportId) -> str:
    """Return the key of the archive of an export."""
    return f"{exports_prefix(project_id)}{export_id}.zip"


def work_file_key(project_id: ProjectId, export_id: ExportId, name: str) -> str:
    """Return the key of a file that workers need until the export is finished."""
    return f"{exports_prefix(project_id)}{export_id}/{name}"


def object_size(key: str) -> int | None:
    """Return the size of an object in bytes, or None if the object does not exist."""
    try:
        with translate_aws_errors():
            return clients.s3().head_object(Bucket=settings.exports_bucket(), Key=key)["ContentLength"]
    except ObjectMissingError:
        return None


def exists(project_id: ProjectId, export_id: ExportId) -> bool:
    """Return whether the archive of an export exists."""
    return object_size(archive_key(project_id, export_id)) is not None


def read(key: str) -> bytes | None:
    """Return the bytes of an object, or None if the object does not exist."""
    try:
        with translate_aws_errors():
            return clients.s3().get_object(Bucket=settings.exports_bucket(), Key=key)["Body"].read()
    except ObjectMissingError:
        return None


def write(key: str, data: bytes | bytearray, *, content_type: str = CONTENT_TYPE) -> None:
    """Write an object. An existing object with the same key is replaced."""
    with translate_aws_errors():
        clients.s3().put_object(
            Bucket=settings.exports_bucket(),
            Key=key,
            Body=data,  # type: ignore[arg-type]  # botocore accepts a bytearray
            ContentType=content_type,
        )


def delete(key: str) -> None:
    """Delete an object. A missing object is ignored."""
    with translate_aws_errors():
        clients.s3().delete_object(Bucket=settings.exports_bucket(), Key=key)


def delete_work_files(project_id: ProjectId, export_id: ExportId) -> None:
    """Delete the work files of an export, and abort its unfinished uploads. The archive is kept."""
    bucket, stem = settings.exports_bucket(), f"{exports_prefix(project_id)}{export_id}"
    bucket_cleanup.abort_uploads(bucket, stem)
    bucket_cleanup.delete_objects(bucket, f"{stem}/")


def signed_url(project: Project, export_id: ExportId) -> str:
    """Return a URL that anybody can download an archive from for ``URL_LIFETIME`` seconds.

    The file name of the download is derived from the project's name.
    """
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
    """Return a Content-Disposition that saves the archive under the project's name (RFC 6266).

    The value has the file name twice, in ASCII for old browsers and in UTF-8 (RFC 6266, appendix D).
    """
    name = (
        "".join(c if c.isprintable() and c not in '"\\/<>:|?*%' else "_" for c in project_name).strip(" .") or "project"
    )
    ascii_name = "".join(c if c.isascii() else "_" for c in name)
    return f"attachment; filename=\"{ascii_name}.zip\"; filename*=UTF-8''{quote(name, safe='')}.zip"
