"""Schemas of the operator functions, which only IAM principals can invoke."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError

from projects_api.entities import user
from projects_api.entities.clock import in_utc
from projects_api.entities.errors import InvalidInputError, summarize_validation_error
from projects_api.entities.user import Scope
from projects_api.schemas.field_types import FORBIDDEN_IN_NAMES, Timestamp, forbid


class OperatorInput(BaseModel):
    """The input of an operator function."""

    @classmethod
    def from_event(cls, event: Any) -> Self:
        """Validate an invocation event.

        Raises:
            InvalidInputError: The event is invalid. Lambda logs this error, so its message omits the invalid values.
        """
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            raise InvalidInputError(summarize_validation_error(error), loc=("event",)) from None


class NewUser(OperatorInput):
    email: str
    name: Annotated[str, forbid(FORBIDDEN_IN_NAMES)]


class User(BaseModel):
    user_id: UUID
    email: str
    name: str
    created_at: Timestamp
    deactivated_at: Timestamp | None
    project_count: int

    @classmethod
    def from_entity(cls, user: user.User) -> User:
        return cls(
            user_id=UUID(user.id),
            email=user.email,
            name=user.name,
            created_at=user.created_at,
            deactivated_at=user.deactivated_at,
            project_count=user.project_count,
        )


class UserListRequest(OperatorInput):
    limit: int = Field(100, ge=1, le=100)
    cursor: str | None = Field(None, max_length=512)


class UserSelection(OperatorInput):
    email: str


class ProjectTransfer(OperatorInput):
    project_id: UUID
    email: str


class NewApiKey(OperatorInput):
    email: str
    scopes: list[Scope]
    expires_at: Annotated[AwareDatetime, AfterValidator(in_utc)] | None = None


class ApiKeyToRevoke(OperatorInput):
    key_id: str = Field(pattern=r"^[0-9a-f]{16}$")


class ApiKey(BaseModel):
    key_id: str
    user_id: UUID
    scopes: list[Scope]
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    last_used_on: date | None

    @classmethod
    def from_entity(cls, key: user.ApiKey) -> ApiKey:
        return cls(
            key_id=key.id,
            user_id=UUID(key.user_id),
            scopes=sorted(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            last_used_on=key.last_used_on,
        )
