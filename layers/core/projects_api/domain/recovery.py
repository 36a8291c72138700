"""The recovery job: continue everything that a function or a worker has left unfinished."""

from collections.abc import Callable

from projects_api.domain import announcements, purge, upload_completion, uploaded_files
from projects_api.domain.exports import export_recovery, retention
from projects_api.domain.imports import import_recovery
from projects_api.domain.resumption import resume_each
from projects_api.entities.clock import now


def resume_stalled(*, should_continue: Callable[[], bool] = lambda: True) -> int:
    """Queue stalled purges, exports and imports again, and continue uploads, deletions and announcements.

    Args:
        should_continue: Called between two batches. Returns False when the time is running out: the next run continues.

    Returns:
        The number of messages sent, and of the other items processed.

    Raises:
        StorageUnavailableError: AWS was not available for at least one of them. The function has tried all others.
    """
    steps = (
        purge.resume_stalled_purges,
        export_recovery.resume_stalled_exports,
        import_recovery.resume_stalled_imports,
        upload_completion.resume_due,
        uploaded_files.delete_overdue,
        announcements.send_overdue,
        retention.remove_retired_archives,
    )
    return resume_each(steps, lambda step: step(by=now(), should_continue=should_continue))
