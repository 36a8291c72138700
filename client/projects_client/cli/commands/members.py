"""Members of a project: list, add, remove, leave."""

from typing import Annotated, Literal

import typer

from projects_client.api import Api, is_id
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, ProjectArgument, Yes, api_of, confirm
from projects_client.errors import NotFoundError

app = typer.Typer(help="Who is in a project, and as what.", no_args_is_help=True)

COLUMNS = ("EMAIL", "NAME", "ROLE", "SINCE", "ID")


@app.command("list")
def list_members(context: typer.Context, project: ProjectArgument, *, as_json: AsJson = False) -> None:
    """List a project's members, the owner first."""
    api = api_of(context)
    members = list(api.members(api.project_id(project)))
    if as_json:
        terminal.data({"items": members, "total": len(members), "limit": len(members), "offset": 0})
        return
    keys = ("email", "name", "role", "created_at", "user_id")
    terminal.table(COLUMNS, [[member[key] for key in keys] for member in members])


@app.command()
def add(
    context: typer.Context,
    project: ProjectArgument,
    email: Annotated[str, typer.Argument(help="Of a registered user.")],
    *,
    role: Annotated[Literal["viewer", "editor", "admin"], typer.Option(help="What they may do.")] = "editor",
    as_json: AsJson = False,
) -> None:
    """Add a member, or change the role of one."""
    api = api_of(context)
    member = api.post(f"/{api.project_id(project)}/members", {"email": email, "role": role})["member"]
    sentence = f"{member['email']} is {member['role']} of the project."
    terminal.done({"member": member}, sentence, as_json=as_json)


@app.command()
def remove(
    context: typer.Context,
    project: ProjectArgument,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="A member's email or user id.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Remove a member."""
    api = api_of(context)
    project_id = api.project_id(project)
    user_id = member if is_id(member) else _user_id(api, project_id, member)
    answer = api.delete(f"/{project_id}/members/{user_id}")
    terminal.done(answer, f"{member} is no longer a member.", as_json=as_json)


@app.command()
def leave(context: typer.Context, project: ProjectArgument, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Leave a project; only its owner can let you in again."""
    api = api_of(context)
    found = api.project(project)
    user_id = api.get(f"/{found['id']}/members", limit=1)["caller_id"]
    confirm(f"Leave '{terminal.printable(found['name'])}'?", yes=yes)
    answer = api.delete(f"/{found['id']}/members/{user_id}")
    terminal.done(answer, f"You are no longer a member of '{found['name']}'.", as_json=as_json)


def _user_id(api: Api, project_id: str, email: str) -> str:
    wanted = email.strip().casefold()
    for member in api.members(project_id):
        if member["email"].casefold() == wanted:
            return str(member["user_id"])
    raise NotFoundError(f"{email} is not a member of the project. `projects members list` shows who is.")
