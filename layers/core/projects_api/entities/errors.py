"""Domain errors. ``api.error_responses`` maps each error to an HTTP status.

The message of an error says what is wrong and what to do. Clients see the message and logs may contain it, therefore it
never contains a secret or an email address.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

#: The maximum length of an invalid value in an error message, in characters.
REDACTED_LENGTH = 80

_API_KEY = re.compile(r"prj_[0-9a-f]{4,}[\w-]*")


def redact(value: Any) -> str:
    """Return a client's invalid value for an error message: shortened, printable, and with API keys masked."""
    if isinstance(value, list | dict):
        return "This"
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in _API_KEY.sub("prj_…", text))
    short = text if len(text) <= REDACTED_LENGTH else f"{text[:REDACTED_LENGTH]}…"
    return f"'{short}'" if isinstance(value, str) else short


def summarize_validation_error(error: ValidationError) -> str:
    """Return all validation errors in one line: the location and reason of each, without the invalid values."""
    problems = ((".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, ")) for item in error.errors())
    return "; ".join(map(": ".join, problems)).lstrip(": ")


class ProjectsError(Exception):
    """The base class of all domain errors.

    Attributes:
        TEXT: The default message of the error class.
    """

    TEXT = ""

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.TEXT)


class NotFoundError(ProjectsError):
    """The requested entity does not exist, or the caller may not see it."""


class ProjectNotFoundError(NotFoundError):
    TEXT = "There is no such project, or you are not a member of it. GET /api/projects lists yours."


class MemberNotFoundError(NotFoundError):
    TEXT = "This user is not a member of the project. GET …/members lists its members."


class UserNotFoundError(NotFoundError):
    TEXT = "No user is registered with this email. Ask an operator to register them first."


class ActiveUserNotFoundError(UserNotFoundError):
    TEXT = (
        "This user is deactivated, which is final. Name an active user. "
        "Somebody who returns is registered with another email address."
    )


class ExportNotFoundError(NotFoundError):
    TEXT = "The project has no such export, or it has expired. POST …/exports starts a new one."


class ResourceNotFoundError(NotFoundError):
    TEXT = "The project has no such resource, or it has been deleted. GET …/resources lists its resources."


class UploadNotFoundError(NotFoundError):
    TEXT = (
        "You have no such upload: it was aborted, or it has expired. "
        "Start another one with POST or PUT …/resources, or POST /api/imports."
    )


class ImportNotFoundError(NotFoundError):
    TEXT = "You have no such import, or its record has expired. POST /api/imports starts a new one."


class ApiKeyNotFoundError(NotFoundError):
    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"There is no API key with the id {key_id}. The id is the part between the first two underscores."
        )


class NotAllowedError(ProjectsError):
    """The caller is authenticated but lacks the permission."""


class ConflictError(ProjectsError):
    """The request conflicts with the current state."""


class OwnerRoleError(ConflictError):
    TEXT = "This user owns the project, and the owner's role can't be changed."


class OwnerCannotLeaveError(ConflictError):
    TEXT = (
        "The owner can't leave or be removed. Transfer the ownership first (PUT …/owner), or delete the project if "
        "nobody needs it any more."
    )


class DeactivatedUserError(ConflictError):
    TEXT = "This member is deactivated and can't own a project. Choose another member."


class ExportFinishedError(ConflictError):
    def __init__(self, status: str) -> None:
        super().__init__(f"The export is {status}, so it can't be cancelled any more. Only unfinished exports can be.")


class ExportFailedError(ConflictError):
    """The archive can't be returned, because its export failed or was cancelled."""

    def __init__(self, error: str | None) -> None:
        reason = f"The export failed. {error}" if error else "The export was cancelled."
        super().__init__(f"{reason} POST …/exports starts a new one immediately, GET …/export after a minute.")


class ProjectFullError(ConflictError):
    TEXT = "The project is full: its records may take up to 10 GB. Continue in another project."


class ExportNotReadyError(ConflictError):
    def __init__(self, status: str) -> None:
        super().__init__(f"The export is {status}, and a copy needs a ready one. GET …/exports lists the exports.")


class TooLargeError(ConflictError):
    TEXT = "This record is too large: one record may take up to 400 KB. Send less data."


class TooManyUploadsError(ConflictError):
    def __init__(self, limit: int) -> None:
        super().__init__(
            f"You have {limit} unfinished uploads, which is the maximum. Complete some of them. "
            "An unfinished upload expires a week after its start."
        )


class UploadIncompleteError(ConflictError):
    """Parts of an upload are missing or have the wrong size."""


class UploadBusyError(ConflictError):
    TEXT = "Another upload of this file is being completed. Retry the request in a moment."


class InvalidInputError(ProjectsError):
    """The input is invalid.

    Attributes:
        loc: The location of the invalid value, such as ``("query", "cursor")``.
        type: The machine-readable error type.
    """

    def __init__(self, message: str, *, loc: tuple[str, ...], type: str = "value_error") -> None:  # noqa: A002 - pydantic's name
        super().__init__(message)
        self.loc = loc
        self.type = type


class StorageUnavailableError(ProjectsError):
    """AWS is unreachable or overloaded. A write may or may not have taken effect, so the caller must retry it."""

    TEXT = "The service is overloaded or cannot reach its storage. Retry the request in a moment."
