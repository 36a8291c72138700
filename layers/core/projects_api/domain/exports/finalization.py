"""The last step of an export: delete its work files, or all files if it failed, and publish its outcome."""

from contextlib import suppress

from projects_api.domain.exports.retention import retire_old_archives
from projects_api.entities.clock import now, rfc3339
from projects_api.entities.export import Export, ExportStatus
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage import eventbridge
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import export_store, project_store
from projects_api.storage.s3 import archive_store


def finalize_export(project_id: ProjectId, export_id: ExportId) -> Export | None:
    """Finalize a finished export: delete its work files and publish an event with its outcome.

    The function is safe to repeat, and callers repeat it until it succeeds. After a failed export of either trigger,
    the project is due for a scheduled export again.

    Returns:
        The export if this call finalized it. None if it is not finished, is already finalized, or no longer exists.
        Also None while a worker holds the lease of a cancelled export, because that worker may still write.

    Raises:
        StorageUnavailableError: AWS was not available. The export is not finalized yet.
    """
    export = export_store.get(project_id, export_id)
    if export is None or export.finished_at is None or export.finalized or export.is_leased(now()):
        return None
    archive_store.delete_work_files(project_id, export_id)
    if export.status is not ExportStatus.READY:
        archive_store.delete_archive(project_id, export_id)
    eventbridge.publish(
        f"Project Export {export.status.capitalize()}",
        {
            "project_id": export.project_id,
            "export_id": export.id,
            "trigger": export.trigger,
            "occurred_at": rfc3339(export.finished_at),
            "size_bytes": export.size_bytes,
            "error": export.error,
        },
    )
    if export.status is ExportStatus.FAILED:
        with suppress(ConditionFailedError):  # the project was deleted
            project_store.mark_due(project_id)
    if export.status is ExportStatus.READY and retire_old_archives(export):
        return export
    with suppress(ConditionFailedError):  # another run has finalized or retired it, or the project was deleted
        export_store.mark_finalized(export)
    return export
