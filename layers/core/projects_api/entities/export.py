"""Exports."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from projects_api.entities.ids import ExportId, ProjectId


class Trigger(StrEnum):
    """The origin of an export: a user's request or the schedule."""

    REQUEST = "request"
    SCHEDULE = "schedule"


class ExportStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: The statuses of exports that a worker still assembles.
UNFINISHED = frozenset({ExportStatus.PENDING, ExportStatus.RUNNING})


@dataclass(frozen=True, slots=True)
class Progress:
    bytes_done: int = 0
    bytes_total: int = 0
    files_done: int = 0
    files_total: int = 0


@dataclass(frozen=True, slots=True)
class Export:
    """An export of a project.

    Attributes:
        expires_at: The time at which the archive and this record expire. No signed URL is valid longer.
        revision: The project's revision in the snapshot, or 0 before the snapshot is taken.
        size_bytes: The size of the finished archive.
        crc32: The CRC-32 of the finished archive.
        error: The reason why the export failed.
        lease_until: The time at which the current worker's lease ends.
        stalled_at: The time from which the recovery job treats the queue message as lost, unless a worker then holds
            the lease. None after the export is finalized.
        fresh: Whether the archive is made without the previous one.
        retired: Whether the project has enough newer archives. The archive is removed after ``expires_at``.
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
    crc32: int | None = None
    progress: Progress = Progress()
    error: str | None = None
    lease_until: datetime | None = None
    stalled_at: datetime | None = None
    fresh: bool = False
    retired: bool = False

    @property
    def finalized(self) -> bool:
        """Return whether the export is finished and its outcome is published on the event bus."""
        return self.stalled_at is None

    def is_leased(self, at: datetime) -> bool:
        """Return whether a worker holds the lease of the export."""
        return self.lease_until is not None and self.lease_until >= at
