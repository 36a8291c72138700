"""Schemas of the operator functions, which only IAM principals can invoke."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from projects_api.entities import user
from projects_api.entities.clock import in_utc
from projects_api.entities.errors import InvalidInputError
from projects_api.entities.user import Scope
from projects_api.schemas.field_types import FORBIDDEN_IN_NAMES, Timestamp, forbid

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


#: Messages by pydantic's error type. They omit the invalid values, because Lambda logs the errors of these functions.
_MESSAGES = {
    "control_character": "'{field}' contains the control character {character}: remove it.",
    "datetime_from_date_parsing": "'{field}' is not a time: send one such as 2027-01-01T09:00:00Z.",
    "datetime_parsing": "'{field}' is not a time: send one such as 2027-01-01T09:00:00Z.",
    "datetime_type": "'{field}' is not a time: send one such as 2027-01-01T09:00:00Z.",
    "enum": "'{field}' has an unknown value: use {expected}.",
    "greater_than_equal": "'{field}' is too small: the minimum is {ge}.",
    "int_from_float": "'{field}' must be a whole number.",
    "int_parsing": "'{field}' must be a whole number.",
    "int_type": "'{field}' must be a whole number.",
    "less_than_equal": "'{field}' is too large: the maximum is {le}.",
    "list_type": "'{field}' must be a list.",
    "missing": "'{field}' is required.",
    "model_type": "Send a JSON object with the fields {fields}.",
    "string_pattern_mismatch": "'{field}' must be the 16 hexadecimal digits between the first two '_' of a key.",
    "string_too_long": "'{field}' is too long: the maximum is {max_length} characters.",
    "string_type": "'{field}' must be a string.",
    "timezone_aware": "'{field}' has no time zone: send a time such as 2027-01-01T09:00:00Z.",
    "uuid_parsing": "'{field}' must be an id: a UUID.",
    "uuid_type": "'{field}' must be an id: a UUID.",
}


class OperatorInput(BaseModel):
    """The input of an operator function.

    Unknown fields are errors. Otherwise, a key whose ``expires_at`` has a typo would never expire.
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def from_event(cls, event: Any) -> Self:
        """Validate an invocation event.

        Raises:
            InvalidInputError: The event is invalid. Lambda logs this error, so its message omits the invalid values.
        """
        try:
            json.dumps(event, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidInputError(
                "The event contains half of a surrogate pair: send both halves, or the character in UTF-8.",
                loc=("event",),
            ) from None
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            messages = dict.fromkeys(cls._explain(item) for item in error.errors())
            raise InvalidInputError(" ".join(messages), loc=("event",)) from None

    @classmethod
    def _explain(cls, error: ErrorDetails) -> str:
        """Return a sentence that says what is wrong with a field and what to send."""
        field = str(error["loc"][0]) if error["loc"] else ""
        if error["type"] == "extra_forbidden":
            return f"The event has an unknown field. Its fields are {cls._list_fields()}."
        template = _MESSAGES.get(error["type"], f"{{field}}: {error['msg'].removeprefix('Value error, ')}.")
        return template.format(field=field, fields=cls._list_fields(), **error.get("ctx", {}))

    @classmethod
    def _list_fields(cls) -> str:
        return ", ".join(f"'{name}'" for name in cls.model_fields)


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
