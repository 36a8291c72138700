"""Archives that are imported: uploaded ones in the artifacts bucket, and exports that are copied."""

from dataclasses import dataclass

from projects_api import settings
from projects_api.entities.ids import ImportId
from projects_api.entities.project_import import Import
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_object_errors
from projects_api.storage.s3 import archive_store, bucket_cleanup, fast_get

#: The key prefix of uploaded archives in the artifacts bucket.
UPLOADS_PREFIX = "uploads/"


@dataclass(frozen=True, slots=True)
class ImportSource:
    """One state of an archive in S3. Reading or copying it fails once its ETag has changed.

    Attributes:
        bucket: The bucket.
        key: The key of the object.
        etag: The ETag of the object, with its quotation marks.
        size: The size of the object in bytes.
    """

    bucket: str
    key: str
    etag: str
    size: int


def uploaded_archive_key(import_id: ImportId) -> str:
    """Return the key of an uploaded archive in the artifacts bucket."""
    return f"{UPLOADS_PREFIX}{import_id}.zip"


def open_archive(import_: Import) -> ImportSource:
    """Return the archive of an import.

    Raises:
        ObjectMissingError: The archive does not exist any more.
        ObjectRefusedError: S3 refuses access to the archive.
    """
    if import_.copied_export:
        bucket = settings.exports_bucket()
        key = archive_store.archive_key(import_.copied_export.project_id, import_.copied_export.export_id)
    else:
        bucket, key = settings.artifacts_bucket(), uploaded_archive_key(import_.id)
    with translate_object_errors():
        head = clients.s3().head_object(Bucket=bucket, Key=key)
    return ImportSource(bucket, key, head["ETag"], head["ContentLength"])


def read(source: ImportSource, start: int, size: int) -> bytes:
    """Return up to ``size`` bytes of an archive from the offset ``start``.

    Raises:
        ObjectMissingError: The archive was deleted or has changed.
    """
    if not size:
        return b""
    return fast_get.get(source.bucket, source.key, etag=source.etag, byte_range=(start, start + size - 1))


def delete_uploaded_archive(import_: Import) -> None:
    """Delete the uploaded archive of an import with all its versions, if it still exists."""
    if import_.copied_export is None:
        bucket_cleanup.delete_objects(settings.artifacts_bucket(), uploaded_archive_key(import_.id))
