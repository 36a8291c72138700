"""Commands ``projects exports``: list and show the exports of a project."""

from typing import Annotated, Any

import typer

from projects_client.api import MAX_EXPORTS_PAGE
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, Limit, ProjectArgument, create_client

app = typer.Typer(help="List and show the exports of a project.", no_args_is_help=True)

COLUMNS = ("CREATED", "STATUS", "TRIGGER", "SIZE", "FILES", "ID")


@app.command("list")
def list_exports(
    context: typer.Context, id_or_name: ProjectArgument, *, limit: Limit = None, as_json: AsJson = False
) -> None:
    """List the exports of a project, newest first."""
    client = create_client(context)
    path = f"/{client.find_project_id(id_or_name)}/exports"
    page = client.read_cursor_list(path, "items", limit=limit, page_size=MAX_EXPORTS_PAGE)
    if as_json:
        terminal.print_json(page)
        return
    terminal.print_table(COLUMNS, [_create_row(export) for export in page["items"]], drop_first=("TRIGGER", "FILES"))
    terminal.print_more_hint(page)


@app.command()
def show(
    context: typer.Context,
    id_or_name: ProjectArgument,
    export_id: Annotated[str, typer.Argument(metavar="EXPORT", help="The id of an export.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show an export. A ready export has a download URL that is valid for 15 minutes."""
    client = create_client(context)
    response = client.get_export(client.find_project_id(id_or_name), export_id)
    if as_json:
        terminal.print_json(response)
        return
    fields = dict(response["export"])
    progress = fields.pop("progress")
    terminal.print_fields(fields | progress)


def _create_row(export: dict[str, Any]) -> tuple[Any, ...]:
    files_done, files_total = export["progress"]["files_done"], export["progress"]["files_total"]
    size = export["size_bytes"]
    return (
        export["created_at"],
        export["status"],
        export["trigger"],
        None if size is None else terminal.format_size(size),
        f"{files_done}/{files_total}",
        export["id"],
    )
