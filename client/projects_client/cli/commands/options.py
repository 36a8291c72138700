"""Arguments and options that several commands share."""

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from projects_client.api import ApiClient
from projects_client.errors import InvalidInputError, NotAuthenticatedError

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the API's response as JSON, for scripts.", show_default=False)
]
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="The id or the name of a project.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.", show_default=False)]
Limit = Annotated[int | None, typer.Option(min=1, help="Maximum number of entries to show.", show_default="all")]


@dataclass(frozen=True, slots=True)
class Connection:
    """URL and key of the API, as given; only commands that call the API need them.

    Attributes:
        url: URL of the API.
        key: API key.
    """

    url: str | None
    key: str | None


def create_client(context: typer.Context) -> ApiClient:
    """Return a client for the API of the options or the environment.

    Raises:
        InvalidInputError: The URL is missing or invalid.
        NotAuthenticatedError: The key is missing, or contains characters that no key has.
    """
    connection = context.find_object(Connection)
    if connection is None or not connection.url:
        raise InvalidInputError("The URL of the API is missing. Set PROJECTS_API_URL, or use --api-url.")
    if not connection.key:
        raise NotAuthenticatedError("The API key is missing. Set PROJECTS_API_KEY. Operators issue keys.")
    key = connection.key.strip()  # a key from a file may end with CR LF
    if not (key.isascii() and key.isprintable()):
        raise NotAuthenticatedError("PROJECTS_API_KEY contains characters that no API key has. Copy the key again.")
    return ApiClient(connection.url.strip(), key)


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation on the terminal, and abort the command without it.

    Args:
        question: Question to ask.
        yes: Whether ``--yes`` confirms the command already.

    Raises:
        InvalidInputError: stdin is not a terminal.
        typer.Abort: The user declined.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInputError("This command needs confirmation, and stdin is not a terminal. Use --yes to confirm.")
    typer.confirm(question, abort=True, err=True)
