"""What operators do, through functions that only IAM may invoke: register users, create and revoke API keys."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson
from projects_client.errors import InvalidInputError
from projects_client.operator_functions import invoke

users = typer.Typer(help="For operators, with AWS credentials: users.", no_args_is_help=True)
keys = typer.Typer(help="For operators, with AWS credentials: API keys.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The user's email.")]
Stack = Annotated[str, typer.Option(envvar="PROJECTS_STACK", help="The CloudFormation stack of the API.")]


#: An API key's id, by itself or in the key.
KEY_ID = re.compile(r"(?:prj_)?(?P<id>[0-9a-f]{16})(?:_.*)?")


class Scope(StrEnum):
    """What an API key may be used for. Typer takes no list of literals."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@users.command()
def register(
    email: Email,
    *,
    name: Annotated[str, typer.Option(help="The user's name.")],
    stack: Stack = "projects",
    as_json: AsJson = False,
) -> None:
    """Register a user; one who is registered already is shown as they are."""
    user = invoke(stack, "RegisterUser", {"email": email, "name": name})
    _print(user, as_json=as_json)
    if user["name"] != name.strip():
        terminal.note(f"{user['email']} was registered already: the name stays '{user['name']}'.")


@keys.command()
def create(
    email: Email,
    *,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What the key is for; may be given again.", show_default="read, write")
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"], help="In UTC.", show_default="never"),
    ] = None,
    stack: Stack = "projects",
    as_json: AsJson = False,
) -> None:
    """Create an API key for a registered user. Its text is shown this once."""
    event: dict[str, Any] = {"email": email, "scopes": scope or [Scope.READ, Scope.WRITE]}
    if expires:
        event["expires_at"] = expires.replace(tzinfo=UTC).isoformat()
    _print(invoke(stack, "CreateApiKey", event), as_json=as_json)


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, or the key itself.")],
    *,
    stack: Stack = "projects",
    as_json: AsJson = False,
) -> None:
    """Revoke an API key; it is refused from the next request on."""
    found = KEY_ID.fullmatch(key.strip())
    if found is None:
        raise InvalidInputError("Give the key's id, 16 hexadecimal digits: what is between its first two '_'.")
    _print(invoke(stack, "RevokeApiKey", {"key_id": found["id"]}), as_json=as_json)


def _print(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.data(answer)
    else:
        terminal.fields({name: ", ".join(v) if isinstance(v, list) else v for name, v in answer.items()})
