"""The nouns: project, member, resource, export, user, API key."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from projects_api.entities.ids import UserId

Email = NewType("Email", str)


class Scope(StrEnum):
    """What an API key may be used for."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    id: UserId
    email: Email
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is stored: of its secret only the SHA-256, and who its user is, which never changes."""

    id: str
    user_id: UserId
    email: Email
    name: str
    secret_sha256: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
