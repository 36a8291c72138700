"""What can go wrong, in the words of the domain. ``http.errors`` knows what each is over HTTP.

Each error's text says what is wrong and what to do; it is shown to clients, may be logged, and holds
neither a secret nor an email.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

#: How much of a wrong value is shown, in characters.
REDACTED_LENGTH = 80

_API_KEY = re.compile(r"prj_[0-9a-f]{4,}[\w-]*")


def redact(value: Any) -> str:
    """What a client sent, as it may be shown to them: short, printable, and without an API key."""
    if isinstance(value, list | dict):
        return "This"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in _API_KEY.sub("prj_…", text))
    short = text if len(text) <= REDACTED_LENGTH else f"{text[:REDACTED_LENGTH]}…"
    return f"'{short}'" if isinstance(value, str) else short


def summarize_validation_error(error: ValidationError) -> str:
    """All that pydantic finds wrong, in one line: where, and why, without what was given."""
    found = ((".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")) for one in error.errors())
    return "; ".join(map(": ".join, found)).lstrip(": ")


class ProjectsError(Exception):
    """The base of all errors that a caller can cause or must know of.

    Attributes:
        TEXT: What a kind of error says that always says the same.
    """

    TEXT = ""

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.TEXT)


class NotFoundError(ProjectsError):
    """There is no such thing, or not for this caller."""


class ProjectNotFoundError(NotFoundError):
    TEXT = "There is no such project, or you are not a member of it. GET /api/projects lists yours."


class MemberNotFoundError(NotFoundError):
    TEXT = "This user is not a member of the project. GET …/members lists its members."


class UserNotFoundError(NotFoundError):
    TEXT = "No user is registered with this email. Ask an operator to register them first."


class ExportNotFoundError(NotFoundError):
    TEXT = "The project has no such export, or it has expired. POST …/exports starts a new one."


class ApiKeyNotFoundError(NotFoundError):
    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no API key with the id {key_id}. The id is the part between the two first '_'.")


class NotAllowedError(ProjectsError):
    """The caller is known, and may not do this."""


class ConflictError(ProjectsError):
    """What was asked for contradicts what is."""


class OwnerRoleError(ConflictError):
    TEXT = "This user owns the project, and the owner's role does not change."


class OwnerCannotLeaveError(ConflictError):
    TEXT = "The owner can't leave or be removed. Delete the project if nobody needs it any more."


class ProjectFullError(ConflictError):
    TEXT = "The project is full: all that it records may take 10 GB. Go on in another project."


class TooLargeError(ConflictError):
    TEXT = "This is too large to be recorded: one record may take 400 KB."


class InvalidInputError(ProjectsError):
    """Input whose form is right and whose content can't be used.

    Attributes:
        loc: Where it stands, as ``("query", "cursor")``.
        type: What kind of error it is, in one machine-readable word.
    """

    def __init__(self, message: str, *, loc: tuple[str, ...], type: str = "value_error") -> None:  # noqa: A002 - pydantic's name
        super().__init__(message)
        self.loc = loc
        self.type = type


class StorageUnavailableError(ProjectsError):
    """AWS can't be reached or is overloaded. Nothing says whether a write took place; repeat it."""

    TEXT = "The service is overloaded or cannot reach its storage. Repeat the request in a moment."
