"""Members."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from projects_api.domain.permissions import ASSIGNABLE_ROLES
from projects_api.domain.users import EMAIL_LENGTH, EMAIL_PATTERN
from projects_api.entities import project
from projects_api.entities.project import Role
from projects_api.schemas.field_types import Id, Timestamp


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


class NewMember(BaseModel):
    email: str = Field(
        description="Of a registered user. Capitals and small letters are the same.",
        examples=["bob@example.com"],
        max_length=EMAIL_LENGTH,
        json_schema_extra={"pattern": EMAIL_PATTERN},
    )
    role: AssignableRole = Role.EDITOR


class Member(BaseModel):
    user_id: Id
    email: str = Field(examples=["bob@example.com"])
    name: str = Field(examples=["Bob Baker"])
    role: Role
    created_at: Timestamp

    @classmethod
    def of(cls, member: project.Member) -> Member:
        return cls.model_validate(member, from_attributes=True)


class MemberResponse(BaseModel):
    member: Member


class MemberList(BaseModel):
    items: list[Member]
    total: int
    limit: int
    offset: int
    caller_id: Id = Field(description="The caller's own user id: to remove it is to leave.")
