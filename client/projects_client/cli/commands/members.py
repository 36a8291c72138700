"""Commands ``projects members``: list, add, remove and leave."""

from typing import Annotated, Literal

import typer

from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, ProjectArgument, Yes, confirm, find_project, quote_name

app = typer.Typer(help="List, add and remove the members of a project.", no_args_is_help=True)

COLUMNS = ("EMAIL", "NAME", "ROLE", "SINCE", "ID")


@app.command("list")
def list_members(context: typer.Context, id_or_name: ProjectArgument, *, as_json: AsJson = False) -> None:
    """List the members of a project, the owner first."""
    members = find_project(context, id_or_name).members().read_page()["items"]
    if as_json:
        terminal.print_json({"items": members, "total": len(members), "limit": len(members), "offset": 0})
        return
    keys = ("email", "name", "role", "created_at", "user_id")
    terminal.print_table(COLUMNS, [[member[key] for key in keys] for member in members])


@app.command()
def add(
    context: typer.Context,
    id_or_name: ProjectArgument,
    email: Annotated[str, typer.Argument(help="The email address of a registered user.")],
    *,
    role: Annotated[
        Literal["viewer", "editor", "admin"], typer.Option(help="The role of the member in the project.")
    ] = "editor",
    as_json: AsJson = False,
) -> None:
    """Add a member, or change a member's role."""
    member = find_project(context, id_or_name).add_member(email, role)
    sentence = f"{member.email} has the role {member.role} in the project."
    terminal.print_result({"member": member.raw}, sentence, as_json=as_json)


@app.command()
def remove(
    context: typer.Context,
    id_or_name: ProjectArgument,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="The email address or the user id of a member.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Remove a member."""
    find_project(context, id_or_name).remove_member(member)
    terminal.print_result({"ok": True}, f"{member} is no longer a member.", as_json=as_json)


@app.command()
def leave(context: typer.Context, id_or_name: ProjectArgument, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Leave a project. To return, you need to be added again."""
    project = find_project(context, id_or_name)
    confirm(f"Leave {quote_name(project)}?", yes=yes)
    project.leave()
    terminal.print_result({"ok": True}, f"You are no longer a member of {quote_name(project)}.", as_json=as_json)
