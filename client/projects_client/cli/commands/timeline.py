"""The timeline of a project."""

from typing import Annotated, Any, Literal

import typer

from projects_client.api import EVENTS_PAGE
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, Limit, ProjectArgument, api_of

app = typer.Typer()

COLUMNS = ("TIME", "TYPE", "NAME", "DETAILS", "ID")

#: What every event has; the rest is of its type.
COMMON = {"id", "type", "name", "timestamp"}

EventType = Literal["dataset", "experiment", "model", "deployment", "report"]


@app.command()
def timeline(
    context: typer.Context,
    project: ProjectArgument,
    *,
    type_: Annotated[
        EventType | None, typer.Option("--type", "-t", help="Only events of this type.", show_default="all")
    ] = None,
    order: Annotated[Literal["asc", "desc"], typer.Option(help="asc is oldest first.")] = "asc",
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened in a project, all pages of it."""
    api = api_of(context)
    project_id = api.project_id(project)
    path = f"/{project_id}/timeline"
    page = api.by_cursor(path, "events", limit=limit, most=EVENTS_PAGE, order=order, type=type_)
    if as_json:
        terminal.data(page)
        return
    terminal.table(COLUMNS, [_row(event) for event in page["events"]])
    terminal.more(page)


def _row(event: dict[str, Any]) -> tuple[Any, ...]:
    details = [f"{name}={value}" for name, value in event.items() if name not in COMMON and value is not None]
    return event["timestamp"], event["type"], event["name"], " ".join(details), event["id"]
