"""Exports that were made of a project: list, show."""

from typing import Annotated, Any

import typer

from projects_client.api import EXPORTS_PAGE
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, Limit, ProjectArgument, api_of

app = typer.Typer(help="The exports that were made of a project.", no_args_is_help=True)

COLUMNS = ("CREATED", "STATUS", "TRIGGER", "SIZE", "FILES", "ID")


@app.command("list")
def list_exports(
    context: typer.Context, project: ProjectArgument, *, limit: Limit = None, as_json: AsJson = False
) -> None:
    """List a project's exports, newest first."""
    api = api_of(context)
    path = f"/{api.project_id(project)}/exports"
    page = api.by_cursor(path, "items", limit=limit, most=EXPORTS_PAGE)
    if as_json:
        terminal.data(page)
        return
    terminal.table(COLUMNS, [_row(export) for export in page["items"]], wide=("TRIGGER", "FILES"))
    terminal.more(page)


@app.command()
def show(
    context: typer.Context,
    project: ProjectArgument,
    export: Annotated[str, typer.Argument(metavar="EXPORT", help="An export's id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show an export, with a URL that lives 15 minutes when it is ready."""
    api = api_of(context)
    answer = api.export(api.project_id(project), export)
    if as_json:
        terminal.data(answer)
        return
    shown = dict(answer["export"])
    progress = shown.pop("progress")
    terminal.fields(shown | progress)


def _row(export: dict[str, Any]) -> tuple[Any, ...]:
    done, total = export["progress"]["files_done"], export["progress"]["files_total"]
    size = export["size_bytes"]
    return (
        export["created_at"],
        export["status"],
        export["trigger"],
        None if size is None else terminal.size(size),
        f"{done}/{total}",
        export["id"],
    )
