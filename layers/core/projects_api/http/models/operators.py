"""What operators' functions, which IAM guards, take and give."""

from __future__ import annotations

from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from projects_api.http.models.fields import Timestamp
from projects_api.model import entities
from projects_api.model.entities import Scope


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
