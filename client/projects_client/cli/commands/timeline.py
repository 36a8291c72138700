"""Command ``projects timeline``."""

from typing import Annotated, Any, Literal

import typer

from projects_client.api import MAX_EVENTS_PAGE
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, Limit, ProjectArgument, create_client

app = typer.Typer()

COLUMNS = ("TIME", "TYPE", "NAME", "DETAILS", "ID")

#: Fields that have a column of their own; the other fields depend on the type, and go into DETAILS.
COLUMN_FIELDS = {"id", "type", "name", "timestamp"}

EventType = Literal["dataset", "experiment", "model", "deployment", "report"]


@app.command()
def timeline(
    context: typer.Context,
    id_or_name: ProjectArgument,
    *,
    event_type: Annotated[
        EventType | None, typer.Option("--type", "-t", help="Show only events of this type.", show_default="all")
    ] = None,
    order: Annotated[Literal["asc", "desc"], typer.Option(help="Sort order by time; asc is oldest first.")] = "asc",
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Show the events of a project."""
    client = create_client(context)
    path = f"/{client.find_project_id(id_or_name)}/timeline"
    page = client.read_cursor_list(path, "events", limit=limit, page_size=MAX_EVENTS_PAGE, order=order, type=event_type)
    if as_json:
        terminal.print_json(page)
        return
    terminal.print_table(COLUMNS, [_create_row(event) for event in page["events"]])
    terminal.print_more_hint(page)


def _create_row(event: dict[str, Any]) -> tuple[Any, ...]:
    details = [f"{name}={value}" for name, value in event.items() if name not in COLUMN_FIELDS and value is not None]
    return event["timestamp"], event["type"], event["name"], " ".join(details), event["id"]
