"""Archives and work files in the exports bucket, and signed URLs of archives."""

from datetime import timedelta
from typing import NamedTuple

from projects_api import settings
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import clients
from projects_api.storage.aws_errors import ObjectMissingError, translate_aws_errors
from projects_api.storage.s3 import bucket_cleanup, fast_get
from projects_api.storage.s3.object_crc32 import read_object_crc32
from projects_api.storage.s3.signed_urls import URL_LIFETIME, content_disposition

CONTENT_TYPE = "application/zip"


class StoredObject(NamedTuple):
    """An object in the exports bucket.

    Attributes:
        size: The size in bytes.
        etag: The ETag, with its quotation marks.
        crc32: The CRC-32 of the whole object, or None if S3 does not keep it.
    """

    size: int
    etag: str
    crc32: int | None


def exports_prefix(project_id: ProjectId) -> str:
    """Return the key prefix of all archives and work files of a project."""
    return f"{project_id}/"


def archive_key(project_id: ProjectId, export_id: ExportId) -> str:
    """Return the key of the archive of an export."""
    return f"{exports_prefix(project_id)}{export_id}.zip"


def index_key(project_id: ProjectId, export_id: ExportId) -> str:
    """Return the key of the index of an archive, which is kept as long as the archive."""
    return f"{exports_prefix(project_id)}{export_id}.index.gz"


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


def describe(key: str) -> StoredObject | None:
    """Return the size, the ETag and the CRC-32 of an object, or None if the object does not exist."""
    try:
        with translate_aws_errors():
            head = clients.s3().head_object(Bucket=settings.exports_bucket(), Key=key, ChecksumMode="ENABLED")
    except ObjectMissingError:
        return None
    return StoredObject(head["ContentLength"], head["ETag"], read_object_crc32(head))


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


def read_range(key: str, etag: str, *, start: int, size: int) -> bytes:
    """Return ``size`` bytes of an object, from the offset ``start``.

    Raises:
        ObjectMissingError: The object was deleted or has changed.
        ObjectRefusedError: S3 refuses access to the object.
    """
    return fast_get.get(settings.exports_bucket(), key, etag=etag, byte_range=(start, start + size - 1))


def write(key: str, data: bytes | bytearray, *, content_type: str = CONTENT_TYPE) -> None:
    """Write an object. An existing object with the same key is replaced."""
    with translate_aws_errors():
        clients.s3().put_object(
            Bucket=settings.exports_bucket(),
            Key=key,
            Body=data,  # type: ignore[arg-type]  # botocore accepts a bytearray
            ContentType=content_type,
            ChecksumAlgorithm="CRC32",
        )


def delete_archive(project_id: ProjectId, export_id: ExportId) -> None:
    """Delete the archive of an export and the archive's index. Missing ones are ignored."""
    bucket_cleanup.delete_objects(settings.exports_bucket(), f"{exports_prefix(project_id)}{export_id}.")


def delete_work_files(project_id: ProjectId, export_id: ExportId) -> None:
    """Delete the work files of an export, and abort its unfinished uploads. The archive and its index are kept."""
    bucket, stem = settings.exports_bucket(), f"{exports_prefix(project_id)}{export_id}"
    bucket_cleanup.abort_uploads(bucket, stem)
    bucket_cleanup.delete_objects(bucket, f"{stem}/")


def signed_url(
    project_id: ProjectId, export_id: ExportId, *, file_name: str, lifetime: timedelta = URL_LIFETIME
) -> str:
    """Return a URL that anybody can download an archive from.

    Args:
        project_id: The project.
        export_id: The export.
        file_name: The name under which browsers save the archive.
        lifetime: How long the URL is valid.
    """
    with translate_aws_errors():
        return clients.s3().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": settings.exports_bucket(),
                "Key": archive_key(project_id, export_id),
                "ResponseContentDisposition": content_disposition(file_name),
                "ResponseContentType": CONTENT_TYPE,
            },
            ExpiresIn=int(lifetime.total_seconds()),
        )
