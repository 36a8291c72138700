"""Requests and answers, field by field: what is validated, and what the OpenAPI document shows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from projects_api.domain.exports import ProjectExport
from projects_api.domain.rules import ASSIGNABLE_ROLES
from projects_api.domain.users import EMAIL_LENGTH, EMAIL_PATTERN
from projects_api.model import entities
from projects_api.model.clock import rfc3339
from projects_api.model.entities import ExportStatus, Membership, Resource, ResourceType, Role, Scope, Trigger

Timestamp = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-02-10T09:00:00Z"]}),
]
Id = Annotated[UUID, Field(examples=["019c4a3e-7d00-7c41-9f2b-3a5d6e7f8091"])]

NextCursor = Annotated[str | None, Field(description="Give it as cursor for the next page; null on the last.")]

#: Bounds of the two free texts of a project, in characters, after trimming.
NAME_LENGTH = 200
DESCRIPTION_LENGTH = 2_000


def _assignable(role: object) -> object:
    """Refuses what is no role to give, before pydantic would list all there are."""
    if role in ASSIGNABLE_ROLES:
        return role
    *others, last = ASSIGNABLE_ROLES
    roles = {"roles": f"{', '.join(others)} or {last}"}
    if role == Role.OWNER:
        raise PydanticCustomError("not_assignable", "A project has one owner, who created it: give {roles}.", roles)
    raise PydanticCustomError("enum", "", {"expected": roles["roles"]})


AssignableRole = Annotated[
    Role, BeforeValidator(_assignable), WithJsonSchema({"type": "string", "enum": list(ASSIGNABLE_ROLES)})
]
ProjectName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_LENGTH),
    Field(
        description="Not blank. The space around it is cut off.",
        examples=["Card fraud"],
        json_schema_extra={"pattern": r"\S"},
    ),
]
Description = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=DESCRIPTION_LENGTH),
    Field(examples=["Which card payments are fraudulent?"]),
]


class NewProject(BaseModel):
    name: ProjectName
    description: Description | None = None


class ProjectUpdate(BaseModel):
    name: ProjectName
    description: Description | None = Field(None, description="Left out, it stays as it was.")


class NewMember(BaseModel):
    email: str = Field(
        description="Of a registered user. Capitals and small letters are the same.",
        examples=["bob@example.com"],
        max_length=EMAIL_LENGTH,
        json_schema_extra={"pattern": EMAIL_PATTERN},
    )
    role: AssignableRole = Role.EDITOR


class Project(BaseModel):
    id: Id
    name: str = Field(examples=["Card fraud"])
    description: str = Field(examples=["Which card payments are fraudulent?"])
    status: Literal["active"]
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
            status="active",
            member_count=project.member_count,
            created_at=project.created_at,
            updated_at=project.updated_at,
            role=membership.role,
            **counts,
        )


class ProjectAnswer(BaseModel):
    project: Project


class CreatedProject(BaseModel):
    project_id: Id
    project: Project


class ProjectList(BaseModel):
    items: list[Project]
    total: int
    limit: int
    offset: int


class Member(BaseModel):
    user_id: Id
    email: str = Field(examples=["bob@example.com"])
    name: str = Field(examples=["Bob Baker"])
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
    caller_id: Id = Field(description="The caller's own user id: to remove it is to leave.")


class Done(BaseModel):
    ok: Literal[True]


class Event(BaseModel):
    id: Id
    name: str = Field(examples=["transactions.csv"])
    timestamp: Timestamp


class DatasetEvent(Event):
    type: Literal[ResourceType.DATASET]
    rows: int | None = Field(examples=[50_000])
    columns: int | None = Field(examples=[15])


class ExperimentEvent(Event):
    type: Literal[ResourceType.EXPERIMENT]
    status: str | None = Field(examples=["completed"])
    target_column: str | None = Field(examples=["is_fraud"])
    problem_type: str | None = Field(examples=["classification"])
    best_model_type: str | None = Field(examples=["gradient_boosting"])
    duration: int | float | None = Field(description="In seconds.", examples=[84.5])


class ModelEvent(Event):
    type: Literal[ResourceType.MODEL]


class DeploymentEvent(Event):
    type: Literal[ResourceType.DEPLOYMENT]


class ReportEvent(Event):
    type: Literal[ResourceType.REPORT]


type TimelineEvent = Annotated[
    DatasetEvent | ExperimentEvent | ModelEvent | DeploymentEvent | ReportEvent, Field(discriminator="type")
]
_EVENTS: dict[ResourceType, type[Event]] = {
    ResourceType.DATASET: DatasetEvent,
    ResourceType.EXPERIMENT: ExperimentEvent,
    ResourceType.MODEL: ModelEvent,
    ResourceType.DEPLOYMENT: DeploymentEvent,
    ResourceType.REPORT: ReportEvent,
}


def timeline_event(resource: Resource) -> Event:
    """A resource as the timeline shows it: what all have, then the fields of its type, null where no event gave one."""
    shown = _EVENTS[resource.type]
    common = {"id": resource.id, "type": resource.type, "name": resource.name, "timestamp": resource.timestamp}
    return shown.model_validate(dict.fromkeys(shown.model_fields) | resource.fields | common)


class TimelineAnswer(BaseModel):
    project_id: Id
    events: list[TimelineEvent]
    next_cursor: NextCursor


class Progress(BaseModel):
    bytes_done: int = Field(examples=[252_431])
    bytes_total: int = Field(examples=[252_431])
    files_done: int = Field(examples=[3])
    files_total: int = Field(examples=[3])


class Export(BaseModel):
    id: Id
    project_id: Id
    status: ExportStatus
    trigger: Trigger
    created_at: Timestamp
    finished_at: Timestamp | None
    expires_at: Timestamp
    size_bytes: int | None = Field(examples=[252_431])
    progress: Progress
    error: str | None = Field(description="Why it failed.")
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
    next_cursor: NextCursor


# ---------------------------------------------------------- what operators' functions, which IAM guards, take and give


class OperatorsInput(BaseModel):
    """What an operator gives. Lambda logs the error of a function that fails, so that it must not repeat the input."""

    model_config = ConfigDict(hide_input_in_errors=True)


class NewUser(OperatorsInput):
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


class NewApiKey(OperatorsInput):
    email: str
    scopes: list[Scope]
    expires_at: AwareDatetime | None = None


class KeyToRevoke(OperatorsInput):
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
