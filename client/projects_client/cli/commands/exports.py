"""Commands ``projects exports``: list, show and cancel the exports of a project."""

from typing import Annotated, Any

import typer

from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, Limit, ProjectArgument, find_project
from projects_client.progress import format_size
from projects_client.project import Project, match_id

app = typer.Typer(help="List, show and cancel the exports of a project.", no_args_is_help=True)

COLUMNS = ("CREATED", "STATUS", "TRIGGER", "SIZE", "FILES", "ID")

ExportArgument = Annotated[str, typer.Argument(metavar="EXPORT", help="The id of an export.")]


@app.command("list")
def list_exports(
    context: typer.Context, id_or_name: ProjectArgument, *, limit: Limit = None, as_json: AsJson = False
) -> None:
    """List the exports of a project, newest first."""
    page = find_project(context, id_or_name).exports(limit=limit).read_page()
    terminal.print_page(page, COLUMNS, _create_row, as_json=as_json, drop_first=("TRIGGER", "FILES"))


@app.command()
def show(
    context: typer.Context, id_or_name: ProjectArgument, export_id: ExportArgument, *, as_json: AsJson = False
) -> None:
    """Show an export. A ready export has a download URL that is valid for 15 minutes."""
    project = find_project(context, id_or_name)
    export = project.get_export(_match_export(project, export_id)).raw
    if as_json:
        terminal.print_json({"export": export})
        return
    fields = dict(export)
    progress = fields.pop("progress")
    terminal.print_fields(fields | progress)


@app.command()
def cancel(
    context: typer.Context, id_or_name: ProjectArgument, export_id: ExportArgument, *, as_json: AsJson = False
) -> None:
    """Cancel an unfinished export, for everybody who waits for it."""
    project = find_project(context, id_or_name)
    export_id = _match_export(project, export_id)
    project.cancel_export(export_id)
    terminal.print_result({"ok": True}, f"The export {export_id} is cancelled.", as_json=as_json)


def _match_export(project: Project, text: str) -> str:
    return match_id(text, (export.id for export in project.exports()), "an export")


def _create_row(export: dict[str, Any]) -> tuple[Any, ...]:
    files_done, files_total = export["progress"]["files_done"], export["progress"]["files_total"]
    size = export["size_bytes"]
    return (
        export["created_at"],
        export["status"],
        export["trigger"],
        None if size is None else format_size(size),
        f"{files_done}/{files_total}",
        export["id"],
    )
