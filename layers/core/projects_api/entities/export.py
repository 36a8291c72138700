"""The nouns: project, member, resource, export, user, API key."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from projects_api.entities.ids import ExportId, ProjectId


class Trigger(StrEnum):
    """Who asked for an export."""

    REQUEST = "request"
    SCHEDULE = "schedule"


class ExportStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Progress:
    bytes_done: int = 0
    bytes_total: int = 0
    files_done: int = 0
    files_total: int = 0


@dataclass(frozen=True, slots=True)
class Export:
    """An export.

    ``revision`` is the project's when its content was read, and 0 until then. ``lease_until`` is until when a worker
    has it. ``stalled_at`` is from when on its message counts as lost, unless a worker has it then; it is None when
    there is nothing left to do: the export is finished, and the bus has been told.
    """

    id: ExportId
    project_id: ProjectId
    status: ExportStatus
    trigger: Trigger
    created_at: datetime
    expires_at: datetime
    revision: int = 0
    finished_at: datetime | None = None
    size_bytes: int | None = None
    progress: Progress = Progress()
    error: str | None = None
    lease_until: datetime | None = None
    stalled_at: datetime | None = None

    @property
    def finalized(self) -> bool:
        return self.stalled_at is None
