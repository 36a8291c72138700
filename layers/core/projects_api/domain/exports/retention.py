"""Retention: of the archives that were made by request, a project keeps the newest ones.

An older archive is retired first: from then on no signed URL outlives its new expiry. After the expiry, the recovery
job removes the archive and its export, as soon as nothing copies from the archive.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from projects_api.domain.resumption import resume_each
from projects_api.entities.clock import now
from projects_api.entities.export import UNFINISHED, Export, ExportStatus, Trigger
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import export_store, pending_work, project_store
from projects_api.storage.s3 import archive_store
from projects_api.storage.s3.signed_urls import URL_LIFETIME

#: Number of archives made by request that a project keeps.
KEPT_ARCHIVES = 10

#: Time after which no URL of a retired archive is valid. A function that read the export before signs its URL within a
#: minute.
URLS_EXPIRE = URL_LIFETIME + timedelta(minutes=1)

#: Time between two attempts to remove an archive that something still copies from.
RETRY_DELAY = timedelta(minutes=1)


def retire_old_archives(ready: Export) -> bool:
    """Retire the archives that the project no longer keeps now that another export is ready.

    The function is safe to repeat. It leaves exports alone that are not finalized: each of them retires itself.

    Returns:
        Whether ``ready`` itself was retired, because ten newer archives were ready before.
    """
    if ready.trigger is not Trigger.REQUEST:
        return False
    project = project_store.get(ready.project_id)
    kept = [export for export in export_store.list_all(ready.project_id) if _counts(export)]
    retired = False
    for export in kept[KEPT_ARCHIVES:]:
        if project and project.archive_export_id != export.id and (export.finalized or export.id == ready.id):
            with suppress(ConditionFailedError):  # the project was deleted, or another worker came first
                export_store.retire(export, until=now() + URLS_EXPIRE)
                retired = retired or export.id == ready.id
    return retired


def _counts(export: Export) -> bool:
    return export.status is ExportStatus.READY and export.trigger is Trigger.REQUEST and not export.retired


def remove_retired_archives(*, by: datetime, should_continue: Callable[[], bool]) -> int:
    """Remove the retired archives whose URLs have expired, with their exports. Stop when the time is running out.

    Returns:
        The number of removed archives.

    Raises:
        StorageUnavailableError: At least one archive could not be removed. The next run continues.
    """
    return resume_each(
        pending_work.find_retired_archives(by=by), lambda ids: _remove(*ids), should_continue=should_continue
    )


def _may_be_copied(project_id: ProjectId, export_id: ExportId) -> bool:
    """Return whether an unfinished export started so early that the archive may be its previous one."""
    exports = list(export_store.list_all(project_id))
    retired_until = [export.expires_at for export in exports if export.id == export_id]
    return any(
        export.status in UNFINISHED and export.created_at < expires_at
        for export in exports
        for expires_at in retired_until
    )


def _remove(project_id: ProjectId, export_id: ExportId) -> bool:
    """Remove a retired archive, its index and its export, unless something may copy from the archive."""
    try:
        if _may_be_copied(project_id, export_id) or not export_store.begin_removal(project_id, export_id):
            export_store.postpone_removal(project_id, export_id, until=now() + RETRY_DELAY)
            return False
    except ConditionFailedError:  # the export is removed already
        return False
    archive_store.delete_archive(project_id, export_id)
    export_store.delete(project_id, export_id)
    return True
