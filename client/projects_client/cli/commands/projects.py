"""Commands for projects: list, show, create, update and delete."""

from typing import Annotated, Any, Literal

import typer

from projects_client.api import Json
from projects_client.cli import terminal
from projects_client.cli.commands.options import (
    AsJson,
    ProjectArgument,
    Yes,
    confirm,
    create_client,
    find_project,
    quote_name,
)
from projects_client.errors import InvalidInputError

app = typer.Typer()

SortField = Literal["created_at", "updated_at", "name", "dataset_count", "model_count", "experiment_count"]
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
    if show_all:
        items = client.projects.list(search=search, sort_field=sort, sort_direction=order).read_page()["items"]
        page: Json = {"items": items, "total": len(items), "limit": len(items), "offset": 0}
    else:
        page = client.api.get(
            "/api/projects", search=search, sort_field=sort, sort_direction=order, limit=limit, offset=offset
        )
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
    _print_project(create_client(context).projects.get(id_or_name).raw, as_json=as_json)


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
    project = create_client(context).projects.create(name, description, idempotency_key=idempotency_key)
    _print_project(project.raw, as_json=as_json)


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
    project = find_project(context, id_or_name).update(name=name, description=description)
    _print_project(project.raw, as_json=as_json)


@app.command()
def transfer(
    context: typer.Context,
    id_or_name: ProjectArgument,
    email: Annotated[str, typer.Argument(help="The email address of a member.")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make a member the owner of a project. You become an admin of it."""
    project = find_project(context, id_or_name)
    confirm(f"Make {email} the owner of {quote_name(project)}?" if not yes else "", yes=yes)
    _print_project(project.transfer_ownership(email).raw, as_json=as_json)


@app.command()
def delete(context: typer.Context, id_or_name: ProjectArgument, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a project and all its data, permanently and for all members."""
    # read first: a retried DELETE takes 404 as success, even if the id never existed
    project = create_client(context).projects.get(id_or_name)
    confirm(f"Delete {quote_name(project)} permanently, for all members?", yes=yes)
    project.delete()
    terminal.print_result({"ok": True}, f"{quote_name(project)} is deleted.", as_json=as_json)


def _create_row(project: Json) -> tuple[Any, ...]:
    counts = (project[f"{kind}_count"] for kind in ("dataset", "experiment", "model"))
    return (project["name"], project["role"], *counts, project["created_at"], project["id"])


def _print_project(project: Json, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json({"project": project})
    else:
        terminal.print_fields(project)
