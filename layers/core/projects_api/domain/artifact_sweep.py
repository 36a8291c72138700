"""The sweep: delete artifacts that lie in the folder of a project which does not exist.

A service can upload an artifact after its project was purged. Nothing refers to that object, and no project will ever
have the same id. The sweep hides such objects with a delete marker; the bucket's lifecycle rule then removes them after
30 days. Until then an operator can restore them, for example after the table was restored from a backup.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import artifacts_prefix
from projects_api.storage.dynamodb import project_store, sweep_store
from projects_api.storage.s3 import artifact_store


@dataclass(slots=True)
class Sweep:
    """The result of a sweep.

    Attributes:
        projects: The number of folders whose project was looked up.
        artifacts: The number of artifacts that were deleted.
    """

    projects: int = 0
    artifacts: int = 0


def sweep(*, should_continue: Callable[[], bool]) -> Sweep:
    """Delete artifacts without a project, from the folder where the last run stopped to the last one.

    Args:
        should_continue: Called after each page of folders or artifacts. If it returns False, the next run continues
            with that page. A run that reaches the end lets the next one start again.

    Raises:
        StorageUnavailableError: AWS is not available. The next run continues.
    """
    result = Sweep()
    after = sweep_store.get_position()
    for folders in artifact_store.list_folders(after=after):
        ids = [ProjectId(folder) for folder in folders if _is_id(folder)]
        result.projects += len(ids)
        existing = project_store.find_existing(ids)
        for project_id in ids:
            if project_id not in existing:
                for count in artifact_store.hide_all(artifacts_prefix(project_id)):
                    result.artifacts += count
                    if not should_continue():
                        return result
        sweep_store.set_position(folders[-1])
        if not should_continue():
            return result
    sweep_store.set_position("")
    return result


def _is_id(folder: str) -> bool:
    """Return whether a folder is named like a project. The sweep leaves all others alone."""
    try:
        return str(UUID(folder)) == folder
    except ValueError:
        return False
