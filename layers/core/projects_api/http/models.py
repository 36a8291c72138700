"""Requests and answers, field by field: what is validated, and what the OpenAPI document shows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints
from pydantic_core import PydanticCustomError

from projects_api.domain.exports import ProjectExport
from projects_api.domain.rules import ASSIGNABLE_ROLES
from projects_api.model import entities
from projects_api.model.clock import rfc3339
from projects_api.model.entities import ExportStatus, Membership, Resource, ResourceType, Role, Scope, Trigger

Timestamp = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]

#: Bounds of the two free texts of a project, in characters, after trimming.
NAME_LENGTH = 200
DESCRIPTION_LENGTH = 2_000


def _assignable(role: Role) -> Role:
    if role not in ASSIGNABLE_ROLES:
        raise PydanticCustomError(
            "not_assignable",
            "A project has one owner, who created it: give {roles}.",
            {"roles": " or ".join(ASSIGNABLE_ROLES)},
        )
    return role


ProjectName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=DESCRIPTION_LENGTH)]


class NewProject(BaseModel):
    name: ProjectName = Field(description="Not blank; at most 200 characters after trimming.")
    description: Description | None = Field(None, description="At most 2,000 characters after trimming.")


class ProjectUpdate(BaseModel):
    name: ProjectName = Field(description="Not blank; at most 200 characters after trimming.")
    description: Description | None = Field(None, description="Left out, it stays as it was.")


class NewMember(BaseModel):
    email: str = Field(min_length=1, max_length=320, description="Of a registered user, in any case.")
    role: Annotated[Role, AfterValidator(_assignable)] = Field(Role.EDITOR, description="viewer, editor or admin.")


class Project(BaseModel):
    id: UUID
    name: str
    description: str
    status: str = "active"
    dataset_count: int
    experiment_count: int
    model_count: int
    deployment_count: int
    report_count: int
    member_count: int
    created_at: Timestamp
    updated_at: Timestamp
    role: Role = Field(description="The caller's.")

    @classmethod
    def of(cls, membership: Membership) -> Project:
        project = membership.project
        counts = {f"{type_}_count": project.counts.get(type_, 0) for type_ in ResourceType}
        return cls(
            id=UUID(project.id),
            name=project.name,
            description=project.description,
            member_count=project.member_count,
            created_at=project.created_at,
            updated_at=project.updated_at,
            role=membership.role,
            **counts,
        )


class ProjectAnswer(BaseModel):
    project: Project


class CreatedProject(BaseModel):
    project_id: UUID
    project: Project


class ProjectList(BaseModel):
    items: list[Project]
    total: int
    limit: int
    offset: int


class Member(BaseModel):
    user_id: UUID
    email: str
    name: str
    role: Role
    created_at: Timestamp

    @classmethod
    def of(cls, member: entities.Member) -> Member:
        return cls.model_validate(member, from_attributes=True)


class MemberAnswer(BaseModel):
    member: Member


class MemberList(BaseModel):
    items: list[Member]
    total: int
    limit: int
    offset: int
    caller_id: UUID = Field(description="The caller's own user id: to remove it is to leave.")


class Done(BaseModel):
    ok: bool = True


class TimelineEvent(BaseModel):
    """A resource of the project; which of the fields behind ``timestamp`` it has depends on its ``type``."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    type: ResourceType
    name: str
    timestamp: Timestamp

    @classmethod
    def of(cls, resource: Resource) -> TimelineEvent:
        fields: dict[str, Any] = {name: resource.fields.get(name) for name in FIELDS[resource.type]}
        return cls(id=UUID(resource.id), type=resource.type, name=resource.name, timestamp=resource.timestamp, **fields)


#: What the timeline shows of a resource beside what all have.
FIELDS: dict[ResourceType, tuple[str, ...]] = {
    ResourceType.DATASET: ("rows", "columns"),
    ResourceType.EXPERIMENT: ("status", "target_column", "problem_type", "best_model_type", "duration"),
    ResourceType.MODEL: (),
    ResourceType.DEPLOYMENT: (),
    ResourceType.REPORT: (),
}


class TimelineAnswer(BaseModel):
    project_id: UUID
    events: list[TimelineEvent]
    next_cursor: str | None


class Progress(BaseModel):
    bytes_done: int
    bytes_total: int
    files_done: int
    files_total: int


class Export(BaseModel):
    id: UUID
    project_id: UUID
    status: ExportStatus
    trigger: Trigger
    created_at: Timestamp
    finished_at: Timestamp | None
    expires_at: Timestamp
    size_bytes: int | None
    progress: Progress
    error: str | None
    download_url: str | None = Field(description="Signed for this answer; null until the export is ready.")
    download_url_expires_at: Timestamp | None

    @classmethod
    def of(cls, made: ProjectExport) -> Export:
        export, download = made.export, made.download
        return cls(
            id=UUID(export.id),
            project_id=UUID(export.project_id),
            status=export.status,
            trigger=export.trigger,
            created_at=export.created_at,
            finished_at=export.finished_at,
            expires_at=export.expires_at,
            size_bytes=export.size_bytes,
            progress=Progress.model_validate(export.progress, from_attributes=True),
            error=export.error,
            download_url=download.url if download else None,
            download_url_expires_at=download.expires_at if download else None,
        )


class ExportAnswer(BaseModel):
    export: Export


class ExportList(BaseModel):
    items: list[Export]
    next_cursor: str | None


# ---------------------------------------------------------- what operators' functions, which IAM guards, take and give


class NewUser(BaseModel):
    email: str
    name: str


class User(BaseModel):
    user_id: UUID
    email: str
    name: str
    created_at: Timestamp

    @classmethod
    def of(cls, user: entities.User) -> User:
        return cls(user_id=UUID(user.id), email=user.email, name=user.name, created_at=user.created_at)


class NewApiKey(BaseModel):
    email: str
    scopes: list[Scope]
    expires_at: AwareDatetime | None = None


class KeyToRevoke(BaseModel):
    key_id: str = Field(pattern=r"^[0-9a-f]{16}$")


class ApiKey(BaseModel):
    key_id: str
    user_id: UUID
    scopes: list[Scope]
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None

    @classmethod
    def of(cls, key: entities.ApiKey) -> ApiKey:
        return cls(
            key_id=key.id,
            user_id=UUID(key.user_id),
            scopes=sorted(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
        )
