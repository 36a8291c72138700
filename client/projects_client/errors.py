"""What can go wrong, and which exit code says so. The README lists them for those who write scripts."""

from typing import ClassVar


class CommandError(Exception):
    """The base of all; its text is one sentence for the user, and says what to do."""

    code: ClassVar[int] = 1


class InvalidInputError(CommandError):
    """Typer ends with the same code where the command line itself is wrong."""

    code = 2


class NotAuthenticatedError(CommandError):
    """The API key is missing, wrong, expired or revoked."""

    code = 3


class NotAllowedError(CommandError):
    """The role in the project, the key's scope, or IAM does not let the caller do this."""

    code = 4


class NotFoundError(CommandError):
    code = 5


class ConflictError(CommandError):
    """It contradicts what is: in the API, among names, or on the disk."""

    code = 6


class UnavailableError(CommandError):
    """The network or the service failed, and went on failing when it was tried again."""

    code = 7


class ExportFailedError(CommandError):
    """The service could not make the archive."""

    code = 8


class DamagedError(CommandError):
    """An archive is not what its manifest says."""

    code = 9
