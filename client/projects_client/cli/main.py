"""The program ``projects``: its options, its commands, and what its end means."""

import signal
import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from projects_client.cli import terminal
from projects_client.cli.commands import export, exports, members, operators, projects, timeline
from projects_client.cli.commands.options import Connection
from projects_client.errors import CommandError

app = typer.Typer(
    name="projects",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # the API key is one of them
    rich_markup_mode="rich",
    epilog="Exit codes: 0 done, 1 unforeseen or declined, 2 wrong input, 3 key missing or wrong, 4 not allowed, "
    "5 not found, 6 conflict, 7 network or service down, 8 export failed, 9 archive damaged, 130 stopped.",
)
for commands in (projects.app, export.app, timeline.app):
    app.add_typer(commands)
for name, commands in (
    ("members", members.app),
    ("exports", exports.app),
    ("users", operators.users),
    ("keys", operators.keys),
):
    app.add_typer(commands, name=name)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"projects {version('projects-client')}")
        raise typer.Exit


@app.callback()
def _projects(
    context: typer.Context,
    *,
    api_url: Annotated[str | None, typer.Option(envvar="PROJECTS_API_URL", help="Where the API is.")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(envvar="PROJECTS_API_KEY", help="Your API key. The variable is safer: options show in `ps`."),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Projects of a machine-learning platform: who is in them, what happened in them, and all of it in one ZIP."""
    context.obj = Connection(api_url, api_key)


def main() -> None:
    """Runs the command line, and ends the process with a code that says how that went."""
    if isinstance(sys.stdout, TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # on Windows it is what a console takes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that a bar leaves a whole terminal
    try:
        app()
    except CommandError as error:
        terminal.note(str(error))
        sys.exit(error.code)
    except OSError as error:
        terminal.note(f"{error.filename or 'The output'}: {error.strerror or error}.")
        sys.exit(1)
