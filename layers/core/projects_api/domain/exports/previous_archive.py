"""The previous archive of a project, as a source of the next one."""

from dataclasses import dataclass

from projects_api.archive.archive_index import ArchiveIndex, decode_index
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.s3 import archive_store
from projects_api.storage.s3.multipart_upload import ExportsObject


class PreviousArchiveLostError(Exception):
    """The previous archive, or its index, was deleted or has changed since the archive was planned."""


@dataclass(frozen=True, slots=True)
class PreviousArchive:
    """An archive that unchanged entries are copied from.

    Attributes:
        export_id: The export of the archive.
        source: The archive as the source of copies.
        index: The index of the archive.
    """

    export_id: ExportId
    source: ExportsObject
    index: ArchiveIndex


def find_previous_archive(project_id: ProjectId, export_id: ExportId | None) -> PreviousArchive | None:
    """Return the archive of an export with its index, or None if they do not exist or do not belong together.

    Args:
        project_id: The project.
        export_id: The export. None stands for no export.
    """
    if export_id is None:
        return None
    data = archive_store.read(archive_store.index_key(project_id, export_id))
    index = decode_index(data) if data else None
    key = archive_store.archive_key(project_id, export_id)
    archive = archive_store.describe(key) if index else None
    if index is None or archive is None or (archive.etag, archive.size) != (index.etag, index.size):
        return None
    return PreviousArchive(export_id, ExportsObject(key, archive.size, archive.etag), index)
