"""Imports: new projects made from archives."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from projects_api.entities.export import Progress
from projects_api.entities.ids import ExportId, ImportId, ProjectId
from projects_api.entities.project import Caller


class ImportStatus(StrEnum):
    UPLOADING = "uploading"
    PENDING = "pending"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


class MembersMode(StrEnum):
    """The members that an import adds to the project: none, or those whose emails are registered."""

    NONE = "none"
    MATCH = "match"


@dataclass(frozen=True, slots=True)
class CopiedExport:
    """The export whose archive an import copies."""

    project_id: ProjectId
    export_id: ExportId


@dataclass(frozen=True, slots=True)
class Import:
    """An import of an archive into a new project.

    Attributes:
        importer: The user who started the import and owns the project.
        project_id: The new project. Nobody sees it before the import is ready.
        members: The members that the import adds.
        expires_at: The time at which this record expires.
        copied_export: The export that the import copies, or None if the archive is uploaded.
        name: The name of the project, or None for the name in the manifest.
        size_bytes: The size of the archive, as stated in the request or measured.
        errors: The first errors of a failed import, as sentences.
        error_count: The number of all errors.
        warnings: Remarks on the archive, as sentences.
        lease_until: The time at which the current worker's lease ends.
        stalled_at: The time from which the recovery job treats the queue message as lost, unless a worker then holds
            the lease. None before the upload is complete, and after the import is finalized.
    """

    id: ImportId
    importer: Caller
    project_id: ProjectId
    status: ImportStatus
    members: MembersMode
    created_at: datetime
    expires_at: datetime
    copied_export: CopiedExport | None = None
    name: str | None = None
    size_bytes: int | None = None
    finished_at: datetime | None = None
    progress: Progress = field(default_factory=Progress)
    errors: list[str] = field(default_factory=list)
    error_count: int = 0
    warnings: list[str] = field(default_factory=list)
    lease_until: datetime | None = None
    stalled_at: datetime | None = None

    @property
    def finalized(self) -> bool:
        """Return whether the import is finished and its outcome is published on the event bus."""
        return self.finished_at is not None and self.stalled_at is None
