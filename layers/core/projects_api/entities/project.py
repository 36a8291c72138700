"""Projects, their members, and the caller of a request."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from projects_api.entities.activity_entry import UNKNOWN, Actor
from projects_api.entities.ids import ExportId, ImportId, ProjectId, UserId
from projects_api.entities.resource import ResourceType
from projects_api.entities.user import Email


class Role(StrEnum):
    """A member's role, from the lowest to the highest. Each role includes the permissions of the lower ones."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated user of a request."""

    user_id: UserId
    email: Email
    name: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project.

    Attributes:
        counts: The number of resources of each type.
        revision: A number that every change to the exported content increments.
        previous_owner_id: The user who owned the project before its ownership was transferred.
        latest_export_id: The id of the export that was started last.
        archive_export_id: The id of the export whose archive was finished last.
        deleted_at: The time of the DELETE request. The purge removes this record last.
        idempotency_claim: The name of the claim on the ``Idempotency-Key`` of the request that created the project.
        import_id: The import that is making the project, or None. Only the import and the purge see such a project.
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
    archive_export_id: ExportId | None = None
    deleted_at: datetime | None = None
    idempotency_claim: str | None = None
    previous_owner_id: UserId | None = None
    import_id: ImportId | None = None


@dataclass(frozen=True, slots=True)
class Member:
    user_id: UserId
    email: Email
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A project as one of its members sees it.

    Attributes:
        project: The project.
        role: The member's role.
        actor: The member, for the activity. A list of projects does not read the member's name.
    """

    project: Project
    role: Role
    actor: Actor = UNKNOWN
