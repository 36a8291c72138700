"""Commands ``projects members``: list, add, remove and leave."""

from typing import Annotated, Literal

import typer

from projects_client.api import ApiClient, is_id
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, ProjectArgument, Yes, confirm, create_client
from projects_client.errors import NotFoundError

app = typer.Typer(help="List, add and remove the members of a project.", no_args_is_help=True)

COLUMNS = ("EMAIL", "NAME", "ROLE", "SINCE", "ID")


@app.command("list")
def list_members(context: typer.Context, id_or_name: ProjectArgument, *, as_json: AsJson = False) -> None:
    """List the members of a project, the owner first."""
    client = create_client(context)
    members = list(client.iterate_members(client.find_project_id(id_or_name)))
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
    client = create_client(context)
    body = {"email": email, "role": role}
    member = client.post(f"/{client.find_project_id(id_or_name)}/members", body)["member"]
    sentence = f"{member['email']} has the role {member['role']} in the project."
    terminal.print_result({"member": member}, sentence, as_json=as_json)


@app.command()
def remove(
    context: typer.Context,
    id_or_name: ProjectArgument,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="The email address or the user id of a member.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Remove a member."""
    client = create_client(context)
    project_id = client.find_project_id(id_or_name)
    user_id = member if is_id(member) else _find_user_id(client, project_id, member)
    response = client.delete(f"/{project_id}/members/{user_id}")
    terminal.print_result(response, f"{member} is no longer a member.", as_json=as_json)


@app.command()
def leave(context: typer.Context, id_or_name: ProjectArgument, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Leave a project. To return, you need to be added again."""
    client = create_client(context)
    project = client.find_project(id_or_name)
    user_id = client.get(f"/{project['id']}/members", limit=1)["caller_id"]
    confirm(f"Leave '{terminal.replace_control_characters(project['name'])}'?", yes=yes)
    response = client.delete(f"/{project['id']}/members/{user_id}")
    terminal.print_result(response, f"You are no longer a member of '{project['name']}'.", as_json=as_json)


def _find_user_id(client: ApiClient, project_id: str, email: str) -> str:
    normalized_email = email.strip().casefold()
    for member in client.iterate_members(project_id):
        if member["email"].casefold() == normalized_email:
            return str(member["user_id"])
    raise NotFoundError(f"{email} is not a member of the project. `projects members list` shows its members.")
