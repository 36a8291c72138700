"""Exports: started once for what a project is, joined by whoever asks meanwhile, kept until they expire."""

from collections.abc import Iterator

from projects_api.domain.exports.export_requests import join_or_start
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.entities.clock import now
from projects_api.entities.export import ExportStatus, Trigger
from projects_api.entities.ids import ProjectId
from projects_api.storage.dynamodb import export_store, pending_work, project_store

# ----------------------------------------------------------------------------------------------------- schedule


def start_scheduled(project_id: ProjectId) -> bool:
    """Exports a project that is due, and takes it off what is due, unless it changes meanwhile.

    Returns:
        Whether it was there to be exported.
    """

    def attempt() -> bool:
        project = project_store.get(project_id)
        if project is None or project.deleted_at:
            return False
        export = join_or_start(project, Trigger.SCHEDULE)
        project_store.clear_due(project)
        seen = export_store.get(project_id, export.id)
        if seen and seen.status is ExportStatus.FAILED:  # meanwhile, and so its project is due again
            project_store.mark_due(project_id)
        return True

    return retry_on_conflict(attempt)


def due() -> Iterator[ProjectId]:
    """The projects that changed since their last scheduled export, or whose last one failed."""
    return pending_work.due(by=now())
