"""Commands for operators, ``projects users`` and ``projects keys``, which need AWS credentials."""

import re
from datetime import datetime, timezone
from enum import Enum
from typing import Annotated, Any

import typer

from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson
from projects_client.errors import InvalidInputError
from projects_client.operator_functions import invoke_function

users = typer.Typer(help="Register users. For operators with AWS credentials.", no_args_is_help=True)
keys = typer.Typer(help="Create and revoke API keys. For operators with AWS credentials.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The user's email address.")]
Stack = Annotated[str, typer.Option(envvar="PROJECTS_STACK", help="Name of the API's CloudFormation stack.")]


#: Id of an API key, either alone or inside the key.
KEY_ID = re.compile(r"(?:prj_)?(?P<id>[0-9a-f]{16})(?:_.*)?")


class Scope(str, Enum):
    """Scope of an API key; an enum, because Typer does not support a list of literals."""

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
    """Register a user. A user who is already registered is shown unchanged."""
    user = invoke_function(stack, "RegisterUser", {"email": email, "name": name})
    _print_response(user, as_json=as_json)
    if user["name"] != name.strip():
        terminal.print_note(f"{user['email']} is already registered. The name remains '{user['name']}'.")


@keys.command()
def create(
    email: Email,
    *,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="A scope of the key. Repeat the option for several.", show_default="read, write"),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"], help="Time of expiry, in UTC.", show_default="never"),
    ] = None,
    stack: Stack = "projects",
    as_json: AsJson = False,
) -> None:
    """Create an API key for a registered user. The key is shown only once."""
    event: dict[str, Any] = {"email": email, "scopes": scope or [Scope.READ, Scope.WRITE]}
    if expires:
        event["expires_at"] = expires.replace(tzinfo=timezone.utc).isoformat()
    _print_response(invoke_function(stack, "CreateApiKey", event), as_json=as_json)


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY_ID", help="The id of a key, or the key itself.")],
    *,
    stack: Stack = "projects",
    as_json: AsJson = False,
) -> None:
    """Revoke an API key. The API rejects the key from the next request on."""
    match = KEY_ID.fullmatch(key.strip())
    if match is None:
        raise InvalidInputError("Give the id of the key: the 16 hexadecimal digits between its first two '_'.")
    _print_response(invoke_function(stack, "RevokeApiKey", {"key_id": match["id"]}), as_json=as_json)


def _print_response(response: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(response)
    else:
        terminal.print_fields(
            {name: ", ".join(value) if isinstance(value, list) else value for name, value in response.items()}
        )
