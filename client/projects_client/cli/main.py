"""Entry point of the ``projects`` command, with its global options and exit codes."""

import os
import signal
import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from projects_client.cli import terminal
from projects_client.cli.command_hints import name_commands
from projects_client.cli.commands import (
    export,
    exports,
    imports,
    members,
    operators,
    profiles,
    projects,
    resources,
    timeline,
)
from projects_client.cli.commands.options import Connection
from projects_client.errors import ProjectsClientError
from projects_client.profiles import list_profiles

#: Smallest width of a terminal that the variable ``COLUMNS`` may state.
MIN_WIDTH = 10

app = typer.Typer(
    name="projects",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,  # the API key is a local variable
    rich_markup_mode="rich",
    epilog="Exit codes: 0 success, 1 unexpected error or declined, 2 invalid input, 3 API key missing or invalid, "
    "4 not allowed, 5 not found, 6 conflict, 7 network or service unavailable, 8 export or import failed, "
    "9 archive damaged, 130 interrupted.",
)
for command_group in (profiles.app, projects.app, resources.app, export.app, imports.app, timeline.app):
    app.add_typer(command_group)
for group_name, command_group in (
    ("members", members.app),
    ("resources", resources.resources),
    ("exports", exports.app),
    ("imports", imports.imports),
    ("users", operators.users),
    ("keys", operators.keys),
):
    app.add_typer(command_group, name=group_name)


def _print_version(requested: bool) -> None:
    if requested:
        print(f"projects {version('projects-client')}")
        raise typer.Exit


def _complete_profile() -> list[str]:
    try:
        return list_profiles()
    except ProjectsClientError:
        return []


@app.callback()
def _set_connection(
    context: typer.Context,
    *,
    api_url: Annotated[
        str | None, typer.Option(help="URL of the API.", show_default="PROJECTS_API_URL, or the profile")
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="Your API key. A profile and the environment variable are safer: `ps` shows the options of a command.",
            show_default="PROJECTS_API_KEY, or the profile",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Name of a profile that `projects login` saved. It wins over the environment variables.",
            show_default="PROJECTS_PROFILE, or default",
            autocompletion=_complete_profile,
        ),
    ] = None,
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Manage the projects of a machine-learning platform: members, timelines, and exports as ZIP archives."""
    context.obj = Connection(api_url, api_key, profile)


def _set_encodings() -> None:
    """Write UTF-8 to files and pipes, and replace what the encoding of a terminal does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(errors="replace")
            else:  # Windows defaults to the ANSI code page
                stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def _ignore_impossible_width() -> None:
    """Ignore ``COLUMNS=0`` and the like, with which Rich would print nothing, not even an error."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns[:9]) < MIN_WIDTH:
        del os.environ["COLUMNS"]


def main() -> None:
    """Run the command line, and end the process with an exit code of the README."""
    _ignore_impossible_width()
    _set_encodings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # lets a progress bar restore the terminal
    try:
        app()
    except ProjectsClientError as error:
        terminal.print_note(name_commands(str(error)))
        sys.exit(error.exit_code)
    except OSError as error:
        terminal.print_note(f"{error.filename or 'The output'}: {error.strerror or error}.")
        sys.exit(1)
