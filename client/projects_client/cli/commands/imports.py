"""Commands ``projects import``, ``projects copy`` and ``projects imports``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, ProjectArgument, create_client, find_project
from projects_client.cli.progress_bars import show_progress
from projects_client.project import Project
from projects_client.project_import import wait_for_import

app = typer.Typer()
imports = typer.Typer(help="Show an import.", no_args_is_help=True)

Name = Annotated[str | None, typer.Option(help="The name of the new project.", show_default="as in the archive")]
Members = Annotated[
    Literal["none", "match"], typer.Option(help="match adds the members whose email addresses are registered here.")
]


@app.command("import")
def import_project(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="An archive of a project.")],
    *,
    name: Name = None,
    members: Members = "none",
    as_json: AsJson = False,
) -> None:
    """Restore a project from its archive, as a new project that you own.

    To resume an interrupted upload, run the same command again.
    """
    client = create_client(context)
    with show_progress(_describe_state) as bars:
        started = client.start_import(file, name=name, members=members, progress=bars, note=terminal.print_note)
        project = wait_for_import(client.api, started, bars)
    _print_project(project, as_json=as_json)


@app.command()
def copy(
    context: typer.Context,
    id_or_name: ProjectArgument,
    *,
    name: Name = None,
    members: Members = "none",
    as_json: AsJson = False,
) -> None:
    """Copy a project. You become the owner of the copy."""
    project = find_project(context, id_or_name)
    with show_progress(_describe_state) as bars:
        result = project.copy(name=name, members=members, progress=bars)
    _print_project(result, as_json=as_json)


@imports.command()
def show(
    context: typer.Context,
    import_id: Annotated[str, typer.Argument(metavar="IMPORT", help="The id of an import.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show an import: its status, its project, and the errors of an archive that was rejected."""
    raw = create_client(context).get_import(import_id).raw
    if as_json:
        terminal.print_json({"import": raw})
        return
    fields = dict(raw)
    progress, errors, warnings = (
        fields.pop("progress", None) or {},
        fields.pop("errors", []),
        fields.pop("warnings", []),
    )
    terminal.print_fields(fields | progress | _number("error", errors) | _number("warning", warnings))


def _number(noun: str, values: list[object]) -> dict[str, object]:
    return {f"{noun} {number}": value for number, value in enumerate(values, 1)}


def _describe_state(stage: str) -> str:
    if stage == "importing":
        return "The service continues the import. `projects list` shows the new project when it is ready."
    return "Run the same command again to resume."


def _print_project(project: Project, *, as_json: bool) -> None:
    raw = project.refresh().raw
    if as_json:
        terminal.print_json({"project": raw})
    else:
        terminal.print_fields(raw)
