"""Users and their API keys."""

from dataclasses import dataclass
from datetime import datetime
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
    id: UserId
    email: Email
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as stored: the SHA-256 of its secret, and a copy of its user's details, which never change."""

    id: str
    user_id: UserId
    email: Email
    name: str
    secret_sha256: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
