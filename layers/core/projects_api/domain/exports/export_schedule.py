"""Scheduled exports of projects that have changed."""

from collections.abc import Iterator

from projects_api.domain.exports.export_requests import join_or_start
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.entities.activity import SCHEDULE
from projects_api.entities.clock import now
from projects_api.entities.export import ExportStatus, Trigger
from projects_api.entities.ids import ProjectId
from projects_api.storage.dynamodb import export_store, pending_work, project_store


def start_scheduled(project_id: ProjectId) -> bool:
    """Start or join an export of a project that is due. The project is then no longer due, unless it changes meanwhile.

    Returns:
        False if the project was deleted, True otherwise.
    """

    def attempt() -> bool:
        project = project_store.get(project_id)
        if project is None or project.deleted_at:
            return False
        export = join_or_start(project, Trigger.SCHEDULE, SCHEDULE)
        project_store.clear_due(project)
        current = export_store.get(project_id, export.id)
        if current and current.status is ExportStatus.FAILED:  # clear_due removed the mark of finalize_export
            project_store.mark_due(project_id)
        return True

    return retry_on_conflict(attempt)


def find_due_projects() -> Iterator[ProjectId]:
    """Return the projects that have changed since their last scheduled export, or whose last export has failed."""
    return pending_work.find_due_projects(by=now())
