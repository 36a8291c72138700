"""Errors of the client, in one tree, each with the exit code of the ``projects`` command.

The README lists the exit codes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ProjectsClientError(Exception):
    """Base class of the client's errors.

    The text of an error is written for users: a sentence that says what is wrong, and what to do.

    Attributes:
        exit_code: The exit code of the ``projects`` command.
        status: The status of the API's response, or None if there was none.
        route: Method and path of the request that failed, such as ``GET /api/projects``, or None.
        body: The JSON of the API's response, or None.
    """

    exit_code: ClassVar[int] = 1

    status: int | None = None
    route: str | None = None
    body: Any = None


class InvalidInputError(ProjectsClientError):
    """Invalid value, with the exit code that Typer uses for an invalid command line.

    Attributes:
        fields: Message for each invalid field of a request, by the name of the field.
    """

    exit_code = 2

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})


class NotAuthenticatedError(ProjectsClientError):
    """API key or AWS credentials that are missing, wrong, expired or revoked."""

    exit_code = 3


class ForbiddenError(ProjectsClientError):
    """Operation that the project role, the scope of the API key, or IAM does not allow."""

    exit_code = 4


class NotFoundError(ProjectsClientError):
    """Object that does not exist, or that the caller may not see."""

    exit_code = 5


class ConflictError(ProjectsClientError):
    """Conflict with data in the API, with another project of the same name, or with an existing file."""

    exit_code = 6


class UnavailableError(ProjectsClientError):
    """Network or service failure that outlasted all retries."""

    exit_code = 7


class ExportFailedError(ProjectsClientError):
    """Export that the service could not create, or that was cancelled."""

    exit_code = 8


class ImportFailedError(ProjectsClientError):
    """Import that the service rejected or could not finish.

    Attributes:
        errors: The first errors that the service found in the archive.
    """

    exit_code = 8

    def __init__(self, message: str, errors: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.errors = list(errors)


class DamagedArchiveError(ProjectsClientError):
    """Archive that does not match its manifest."""

    exit_code = 9
