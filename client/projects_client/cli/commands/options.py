"""Arguments and options that more than one command has, and what the commands share behind them."""

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from projects_client.api import Api
from projects_client.errors import InvalidInputError, NotAuthenticatedError

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's data as JSON, for scripts.", show_default=False)]
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="A project's id, or its name.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.", show_default=False)]
Limit = Annotated[int | None, typer.Option(min=1, help="Show at most this many.", show_default="all")]


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the API is, and the key for it; asked for only by commands that need them."""

    url: str | None
    key: str | None


def api_of(context: typer.Context) -> Api:
    """The API, as the options or the environment name it.

    Raises:
        InvalidInputError: Nothing says where it is.
        NotAuthenticatedError: There is no key, or none that can be one.
    """
    known = context.find_object(Connection)
    if known is None or not known.url:
        raise InvalidInputError("Say where the API is: set PROJECTS_API_URL, or give --api-url.")
    if not known.key:
        raise NotAuthenticatedError("Say who you are: set PROJECTS_API_KEY to your API key. Operators issue them.")
    key = known.key.strip()  # as of a file whose lines end as on Windows
    if not (key.isascii() and key.isprintable()):
        raise NotAuthenticatedError("PROJECTS_API_KEY holds characters that no API key has: copy it once more.")
    return Api(known.url.strip(), key)


def confirm(question: str, *, yes: bool) -> None:
    """Asks on the terminal for confirmation, and ends the program without it.

    Raises:
        InvalidInputError: There is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInputError("This needs confirmation, and there is no terminal to ask on: give --yes.")
    typer.confirm(question, abort=True, err=True)
