"""The nouns: project, member, resource, export, user, API key."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from projects_api.model.ids import ExportId, ProjectId, ResourceId, UserId

Email = NewType("Email", str)


class Role(StrEnum):
    """What a member may do: each role may do all that the one before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    OWNER = "owner"


class Scope(StrEnum):
    """What an API key may be used for."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class ResourceType(StrEnum):
    DATASET = "dataset"
    EXPERIMENT = "experiment"
    MODEL = "model"
    DEPLOYMENT = "deployment"
    REPORT = "report"


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
class User:
    id: UserId
    email: Email
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is stored: of its secret only the SHA-256, and who its user is, which never changes."""

    id: str
    user_id: UserId
    email: Email
    name: str
    secret_sha256: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, as the authorizer found."""

    user_id: UserId
    email: Email
    name: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project.

    ``revision`` grows with every change of what an export of it would hold. ``deleted_at`` is set from the answer
    to DELETE until the purge has removed everything, this record last.
    """

    id: ProjectId
    name: str
    description: str
    owner_id: UserId
    created_at: datetime
    updated_at: datetime
    counts: dict[ResourceType, int] = field(default_factory=dict)
    member_count: int = 1
    revision: int = 1
    latest_export_id: ExportId | None = None
    deleted_at: datetime | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    user_id: UserId
    email: Email
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A project as one of its members sees it."""

    project: Project
    role: Role


def artifacts_prefix(project_id: ProjectId) -> str:
    """What the key of each of a project's artifacts begins with."""
    return f"projects/{project_id}/"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where a resource's file lies: an object in the artifacts bucket."""

    key: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as the newest event shows it, which is also its entry in the timeline.

    ``fields`` is what the event said of it beside these. ``version`` orders the events of one resource.
    """

    id: ResourceId
    type: ResourceType
    name: str
    timestamp: datetime
    version: str
    fields: dict[str, Any]
    artifact: Artifact | None = None
    deleted: bool = False

    @property
    def place(self) -> tuple[ResourceType, ResourceId]:
        """What tells it from the other resources of its project."""
        return self.type, self.id


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
    def settled(self) -> bool:
        return self.stalled_at is None
