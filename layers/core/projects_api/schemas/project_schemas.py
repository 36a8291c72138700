"""Schemas of projects."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from projects_api.entities.project import Membership, Role
from projects_api.entities.resource import ResourceType
from projects_api.schemas.field_types import (
    FORBIDDEN_IN_NAMES,
    FORBIDDEN_IN_TEXTS,
    Id,
    Timestamp,
    forbid,
    normalize,
    reject_blank,
)

#: The maximum lengths in characters, after leading and trailing whitespace is removed.
MAX_NAME_LENGTH = 200
MAX_DESCRIPTION_LENGTH = 2_000

ProjectName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH),
    forbid(FORBIDDEN_IN_NAMES),
    reject_blank,
    normalize(MAX_NAME_LENGTH),  # a validator before the others comes last
    Field(
        description="A name without control characters that shows something. It is stored in Unicode NFC, without "
        "leading and trailing whitespace.",
        examples=["Card fraud"],
        json_schema_extra={"pattern": rf"^[^{FORBIDDEN_IN_NAMES}]*[^\s{FORBIDDEN_IN_NAMES}][^{FORBIDDEN_IN_NAMES}]*$"},
    ),
]
Description = Annotated[
    str,
    StringConstraints(max_length=MAX_DESCRIPTION_LENGTH),
    forbid(FORBIDDEN_IN_TEXTS),
    normalize(MAX_DESCRIPTION_LENGTH),
    Field(
        description="A text without control characters other than tabs and line breaks. Leading and trailing "
        "whitespace is removed.",
        examples=["Which card payments are fraudulent?"],
        json_schema_extra={"pattern": f"^[^{FORBIDDEN_IN_TEXTS}]*$"},
    ),
]


class NewProject(BaseModel):
    name: ProjectName
    description: Description | None = None


class ProjectUpdate(BaseModel):
    name: ProjectName
    description: Description | None = Field(None, description="Without this field, the description does not change.")


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
    role: Role = Field(description="The role of the caller.")

    @classmethod
    def from_membership(cls, membership: Membership) -> Project:
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


class ProjectResponse(BaseModel):
    project: Project


class CreatedProjectResponse(BaseModel):
    project_id: Id
    project: Project


class ProjectList(BaseModel):
    items: list[Project]
    total: int
    limit: int
    offset: int
