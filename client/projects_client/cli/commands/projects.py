"""Commands for projects: list, show, create, update and delete."""

from typing import Annotated, Any, Literal
from uuid import uuid4

import typer

from projects_client.api import Json
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, ProjectArgument, Yes, confirm, create_client
from projects_client.errors import InvalidInputError

app = typer.Typer()

SortField = Literal["created_at", "name", "dataset_count", "model_count", "experiment_count"]
COLUMNS = ("NAME", "ROLE", "DATA", "EXPS", "MODELS", "CREATED", "ID")


@app.command("list")
def list_projects(
    context: typer.Context,
    *,
    search: Annotated[str, typer.Option(help="Show only projects with this text in their name or description.")] = "",
    sort: Annotated[SortField, typer.Option(help="Field to sort by.")] = "created_at",
    order: Annotated[Literal["asc", "desc"], typer.Option(help="Sort order.")] = "desc",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Maximum number of projects to show.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Number of projects to skip.")] = 0,
    show_all: Annotated[
        bool, typer.Option("--all", help="Show all projects, without a limit.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the projects that you own or are a member of."""
    client = create_client(context)
    query = {"search": search, "sort_field": sort, "sort_direction": order}
    if show_all:
        items = list(client.iterate_projects(**query))
        page: Json = {"items": items, "total": len(items), "limit": len(items), "offset": 0}
    else:
        page = client.get("", **query, limit=limit, offset=offset)
    if as_json:
        terminal.print_json(page)
        return
    count, total = len(page["items"]), page["total"]
    if total and not count:
        terminal.print_note(f"There are only {terminal.format_count(total, 'project')}. Use a smaller --offset.")
        return
    terminal.print_table(COLUMNS, [_create_row(project) for project in page["items"]])
    if count < total:
        terminal.print_note(f"Showing {count:,} of {total:,}. Use --all to show all.")


@app.command()
def show(context: typer.Context, id_or_name: ProjectArgument, *, as_json: AsJson = False) -> None:
    """Show a project."""
    project = create_client(context).find_project(id_or_name)
    _print_project(project, as_json=as_json)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The name: not blank, at most 200 characters.")],
    *,
    description: Annotated[
        str, typer.Option("--description", "-d", help="The description: at most 2,000 characters.")
    ] = "",
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            help="A text that identifies this request. "
            "Repeating the command with the same text within a day returns the same project.",
            show_default="a new UUID",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a project. You become its owner."""
    key = str(uuid4()) if idempotency_key is None else idempotency_key
    if not (key.strip() == key != "" and key.isascii() and key.isprintable()):
        raise InvalidInputError("--idempotency-key must be printable ASCII, without a space at its start or end.")
    body = {"name": name, "description": description}
    response = create_client(context).post("", body, headers={"Idempotency-Key": key})
    _print_project(response["project"], as_json=as_json)


@app.command()
def update(
    context: typer.Context,
    id_or_name: ProjectArgument,
    *,
    name: Annotated[str | None, typer.Option(help="The new name.", show_default="unchanged")] = None,
    description: Annotated[
        str | None, typer.Option("--description", "-d", help="The new description.", show_default="unchanged")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change the name or the description of a project."""
    if name is None and description is None:
        raise InvalidInputError("There is nothing to change. Use --name, --description or both.")
    client = create_client(context)
    if name is None:
        project = client.find_project(id_or_name)
        id_or_name, name = project["id"], project["name"]
    body = {"name": name}
    if description is not None:
        body["description"] = description
    _print_project(client.put(f"/{client.find_project_id(id_or_name)}", body)["project"], as_json=as_json)


@app.command()
def delete(context: typer.Context, id_or_name: ProjectArgument, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a project and all its data, permanently and for all members."""
    client = create_client(context)
    project = client.find_project(id_or_name)  # a retried DELETE takes 404 as success, even if the id never existed
    name = terminal.replace_control_characters(project["name"])
    confirm(f"Delete '{name}' permanently, for all members?", yes=yes)
    response = client.delete(f"/{project['id']}")
    terminal.print_result(response, f"'{project['name']}' is deleted.", as_json=as_json)


def _create_row(project: Json) -> tuple[Any, ...]:
    counts = (project[f"{kind}_count"] for kind in ("dataset", "experiment", "model"))
    return (project["name"], project["role"], *counts, project["created_at"], project["id"])


def _print_project(project: Json, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json({"project": project})
    else:
        terminal.print_fields(project)
