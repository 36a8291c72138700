"""Schemas of members."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from projects_api.domain.permissions import ASSIGNABLE_ROLES
from projects_api.domain.users import EMAIL_PATTERN, MAX_EMAIL_LENGTH
from projects_api.entities import project
from projects_api.entities.project import Role
from projects_api.schemas.field_types import Id, Timestamp


def _reject_unassignable(role: object) -> object:
    """Reject a role that cannot be assigned. Pydantic's own message would list the owner's role as valid."""
    if role in ASSIGNABLE_ROLES:
        return role
    *others, last = ASSIGNABLE_ROLES
    roles = {"roles": f"{', '.join(others)} or {last}"}
    if role == Role.OWNER:
        raise PydanticCustomError(
            "not_assignable", "A project has one owner, whom PUT …/owner changes: use {roles}.", roles
        )
    raise PydanticCustomError("enum", "", {"expected": roles["roles"]})


AssignableRole = Annotated[
    Role, BeforeValidator(_reject_unassignable), WithJsonSchema({"type": "string", "enum": list(ASSIGNABLE_ROLES)})
]


class NewMember(BaseModel):
    email: str = Field(
        description="The email address of a registered user, in upper or lower case.",
        examples=["bob@example.com"],
        max_length=MAX_EMAIL_LENGTH,
        json_schema_extra={"pattern": EMAIL_PATTERN},
    )
    role: AssignableRole = Role.EDITOR


class NewOwner(BaseModel):
    email: str = Field(
        description="The email address of a member, in upper or lower case.",
        examples=["bob@example.com"],
        max_length=MAX_EMAIL_LENGTH,
        json_schema_extra={"pattern": EMAIL_PATTERN},
    )


class Member(BaseModel):
    id: Id = Field(description="The same value as `user_id`.")
    user_id: Id
    email: str = Field(examples=["bob@example.com"])
    name: str = Field(examples=["Bob Baker"])
    role: Role
    created_at: Timestamp

    @classmethod
    def from_entity(cls, member: project.Member) -> Member:
        return cls(
            id=UUID(member.user_id),
            user_id=UUID(member.user_id),
            email=member.email,
            name=member.name,
            role=member.role,
            created_at=member.created_at,
        )


class MemberResponse(BaseModel):
    member: Member


class MemberList(BaseModel):
    items: list[Member]
    total: int
    limit: int
    offset: int
    caller_id: Id = Field(description="The user id of the caller. Removing this member means leaving the project.")
