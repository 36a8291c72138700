"""Commands ``projects timeline`` and ``projects activity``."""

from typing import Annotated, Any, Literal

import typer

from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, Limit, ProjectArgument, find_project
from projects_client.cli.commands.resource_types import ResourceType
from projects_client.records import ActivityEntry

app = typer.Typer()

COLUMNS = ("TIME", "TYPE", "NAME", "DETAILS", "ID")

#: Fields that have a column of their own; the other fields depend on the type, and go into DETAILS.
COLUMN_FIELDS = {"id", "type", "name", "timestamp"}

ACTIVITY_COLUMNS = ("TIME", "ACTOR", "ACTION", "DETAILS", "ID")


@app.command()
def timeline(
    context: typer.Context,
    id_or_name: ProjectArgument,
    *,
    event_type: Annotated[
        ResourceType | None, typer.Option("--type", "-t", help="Show only events of this type.", show_default="all")
    ] = None,
    order: Annotated[Literal["asc", "desc"], typer.Option(help="Sort order by time; asc is oldest first.")] = "asc",
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Show the events of a project."""
    page = find_project(context, id_or_name).timeline(type=event_type, order=order, limit=limit).read_page()
    terminal.print_page(page, COLUMNS, _create_row, as_json=as_json, items="events")


@app.command()
def activity(
    context: typer.Context,
    id_or_name: ProjectArgument,
    *,
    action: Annotated[
        str | None, typer.Option(help="Show only entries of this action, such as member.added.", show_default="all")
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Show who did what in a project and when, newest first. For admins and the owner."""
    page = find_project(context, id_or_name).activity(action=action, limit=limit).read_page()
    terminal.print_page(page, ACTIVITY_COLUMNS, _create_activity_row, as_json=as_json)


def _create_row(event: dict[str, Any]) -> tuple[Any, ...]:
    details = terminal.format_details({name: value for name, value in event.items() if name not in COLUMN_FIELDS})
    return event["timestamp"], event["type"], event["name"], details, event["id"]


def _create_activity_row(raw: dict[str, Any]) -> tuple[Any, ...]:
    entry = ActivityEntry.from_json(raw)
    target = raw.get("object") or {}
    name = target.get("name") or target.get("id") or ""
    return raw["at"], entry.actor_name, entry.action, f"{name} {_format_changes(raw)}".strip(), entry.id


def _format_changes(entry: dict[str, Any]) -> str:
    """Return the changed values, such as ``role=viewer→editor``."""
    before, after = entry.get("before") or {}, entry.get("after") or {}
    changes = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        changes.append(
            f"{name}={old}→{new}" if name in before and name in after else f"{name}={new if old is None else old}"
        )
    return " ".join(changes)
