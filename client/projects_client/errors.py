"""Errors of the client, each with the exit code of the ``projects`` command.

The README lists the exit codes.
"""

from typing import ClassVar


class CommandError(Exception):
    """Base class of the client's errors.

    The text of an error is written for users: a sentence that says what is wrong, and what to do.

    Attributes:
        exit_code: The exit code of the ``projects`` command.
    """

    exit_code: ClassVar[int] = 1


class InvalidInputError(CommandError):
    """Invalid value, with the exit code that Typer uses for an invalid command line."""

    exit_code = 2


class NotAuthenticatedError(CommandError):
    """API key or AWS credentials that are missing, wrong, expired or revoked."""

    exit_code = 3


class NotAllowedError(CommandError):
    """Operation that the project role, the scope of the API key, or IAM does not allow."""

    exit_code = 4


class NotFoundError(CommandError):
    """Resource that does not exist, or that the caller may not see."""

    exit_code = 5


class ConflictError(CommandError):
    """Conflict with data in the API, with another project of the same name, or with an existing file."""

    exit_code = 6


class UnavailableError(CommandError):
    """Network or service failure that outlasted all retries."""

    exit_code = 7


class ExportFailedError(CommandError):
    """Export that the service could not create."""

    exit_code = 8


class DamagedArchiveError(CommandError):
    """Archive that does not match its manifest."""

    exit_code = 9
