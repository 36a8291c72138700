"""The nouns: project, member, resource, export, user, API key."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from projects_api.entities.ids import ExportId, ProjectId, UserId
from projects_api.entities.resource import ResourceType
from projects_api.entities.user import Email


class Role(StrEnum):
    """What a member may do: each role may do all that the one before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    OWNER = "owner"


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
