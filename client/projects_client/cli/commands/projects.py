"""Projects: list, show, create, update, delete."""

from typing import Annotated, Any, Literal
from uuid import uuid4

import typer

from projects_client.api import Json
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, ProjectArgument, Yes, api_of, confirm
from projects_client.errors import InvalidInputError

app = typer.Typer()

SortField = Literal["created_at", "name", "dataset_count", "model_count", "experiment_count"]
COLUMNS = ("NAME", "ROLE", "DATA", "EXPS", "MODELS", "CREATED", "ID")


@app.command("list")
def list_projects(
    context: typer.Context,
    *,
    search: Annotated[str, typer.Option(help="Only those with this in their name or description.")] = "",
    sort: Annotated[SortField, typer.Option(help="What to sort by.")] = "created_at",
    order: Annotated[Literal["asc", "desc"], typer.Option(help="Which way to sort.")] = "desc",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Show at most this many.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Skip this many first.")] = 0,
    everything: Annotated[bool, typer.Option("--all", help="Show all, however many.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """List the projects that you own or were added to."""
    api = api_of(context)
    query = {"search": search, "sort_field": sort, "sort_direction": order}
    if everything:
        items = list(api.projects(**query))
        page: Json = {"items": items, "total": len(items), "limit": len(items), "offset": 0}
    else:
        page = api.get("", **query, limit=limit, offset=offset)
    if as_json:
        terminal.data(page)
        return
    shown, total = len(page["items"]), page["total"]
    if total and not shown:
        terminal.note(f"There are {total:,}: give a smaller --offset.")
        return
    terminal.table(COLUMNS, [_row(project) for project in page["items"]])
    if shown < total:
        terminal.note(f"{shown:,} of {total:,}; --all shows all.")


@app.command()
def show(context: typer.Context, project: ProjectArgument, *, as_json: AsJson = False) -> None:
    """Show a project."""
    found = api_of(context).project(project)
    _print(found, as_json=as_json)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Not blank, at most 200 characters.")],
    *,
    description: Annotated[str, typer.Option("--description", "-d", help="At most 2,000 characters.")] = "",
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            help="A text of your own. Given again within a day, it returns the same project instead of a second one.",
            show_default="a new one",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a project, which you own."""
    key = str(uuid4()) if idempotency_key is None else idempotency_key
    if not (key.strip() == key != "" and key.isascii() and key.isprintable()):
        raise InvalidInputError("--idempotency-key takes printable ASCII, and no space at its ends.")
    body = {"name": name, "description": description}
    answer = api_of(context).post("", body, headers={"Idempotency-Key": key})
    _print(answer["project"], as_json=as_json)


@app.command()
def update(
    context: typer.Context,
    project: ProjectArgument,
    *,
    name: Annotated[str | None, typer.Option(help="The new name.", show_default="as it was")] = None,
    description: Annotated[
        str | None, typer.Option("--description", "-d", help="The new description.", show_default="as it was")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change a project's name or description."""
    if name is None and description is None:
        raise InvalidInputError("Say what is to change: give --name, --description or both.")
    api = api_of(context)
    if name is None:
        found = api.project(project)
        project, name = found["id"], found["name"]
    body = {"name": name}
    if description is not None:
        body["description"] = description
    _print(api.put(f"/{api.project_id(project)}", body)["project"], as_json=as_json)


@app.command()
def delete(context: typer.Context, project: ProjectArgument, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a project for everybody and for good, with all that belongs to it."""
    api = api_of(context)
    found = api.project(project)  # first: once it is tried, a project that never was looks like one that is gone
    confirm(f"Delete '{terminal.printable(found['name'])}' for everybody and for good?", yes=yes)
    answer = api.delete(f"/{found['id']}")
    terminal.done(answer, f"'{found['name']}' is deleted.", as_json=as_json)


def _row(project: Json) -> tuple[Any, ...]:
    counts = (project[f"{kind}_count"] for kind in ("dataset", "experiment", "model"))
    return (project["name"], project["role"], *counts, project["created_at"], project["id"])


def _print(project: Json, *, as_json: bool) -> None:
    if as_json:
        terminal.data({"project": project})
    else:
        terminal.fields(project)
