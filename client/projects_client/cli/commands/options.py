"""Arguments and options that several commands share."""

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from projects_client.cli import terminal
from projects_client.client import Client
from projects_client.errors import InvalidInputError
from projects_client.project import Project

AsJson = Annotated[
    bool, typer.Option("--json", help="Print the API's response as JSON, for scripts.", show_default=False)
]
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="The id or the name of a project.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.", show_default=False)]
Limit = Annotated[int | None, typer.Option(min=1, help="Maximum number of entries to show.", show_default="all")]


@dataclass(frozen=True)
class Connection:
    """Options that select the API and the key; only commands that call the API need them.

    Attributes:
        url: URL of the API, or None.
        key: API key, or None.
        profile: Name of a saved profile, or None.
    """

    url: str | None
    key: str | None
    profile: str | None


def get_connection(context: typer.Context) -> Connection:
    """Return the options that select the API."""
    return context.find_object(Connection) or Connection(None, None, None)


def create_client(context: typer.Context) -> Client:
    """Return a client for the API of the options, the environment or a saved profile.

    Raises:
        InvalidInputError: The URL is missing or invalid.
        NotAuthenticatedError: The key is missing, or contains characters that no key has.
    """
    connection = get_connection(context)
    return Client(connection.url, connection.key, profile=connection.profile)


def find_project(context: typer.Context, text: str) -> Project:
    """Return a project by its id or its name.

    A key without the read scope can use an id, but no name.
    """
    return create_client(context).projects.get_reference(text)


def quote_name(project: Project) -> str:
    """Return the name of a project for a question on the terminal."""
    return f"'{terminal.replace_control_characters(project.name)}'"


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
