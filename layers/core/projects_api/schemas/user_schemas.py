"""Schemas of the caller."""

from __future__ import annotations

from pydantic import BaseModel, Field

from projects_api.entities.user import Scope
from projects_api.schemas.field_types import Id, Timestamp


class User(BaseModel):
    id: Id
    email: str = Field(examples=["bob@example.com"])
    name: str = Field(examples=["Bob Baker"])


class Key(BaseModel):
    id: str = Field(description="The part of the key between its first two underscores.", examples=["0123456789abcdef"])
    scopes: list[Scope]
    created_at: Timestamp
    expires_at: Timestamp | None = Field(description="Null if the key does not expire.")


class MeResponse(BaseModel):
    user: User
    key: Key
