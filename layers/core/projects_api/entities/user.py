"""Users and their API keys."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NewType

from projects_api.entities.ids import UserId

Email = NewType("Email", str)


class Scope(StrEnum):
    """The scope of an API key. ``admin`` includes ``read`` and ``write``."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """A registered user.

    Attributes:
        deactivated_at: The time of the deactivation. A deactivated user cannot be added to a project, own one or get
            keys, and none of their keys is valid.
        project_count: The number of projects that the user is a member of.
    """

    id: UserId
    email: Email
    name: str
    created_at: datetime
    deactivated_at: datetime | None = None
    project_count: int = 0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as stored: the SHA-256 of its secret, and a copy of its user's details, which never change.

    Attributes:
        last_used_on: The day of the last request with the key. The time of day is not recorded.
    """

    id: str
    user_id: UserId
    email: Email
    name: str
    secret_sha256: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_on: date | None = None
