"""Commands for operators, ``projects users`` and ``projects keys``, which need AWS credentials."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Annotated, Any

import typer

from projects_client.api import parse_id
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, Yes, confirm
from projects_client.errors import InvalidInputError
from projects_client.operator_functions import invoke_function

users = typer.Typer(
    help="Register, list and deactivate users, and transfer projects. For operators with AWS credentials.",
    no_args_is_help=True,
)
keys = typer.Typer(help="Create, list and revoke API keys. For operators with AWS credentials.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(help="The user's email address.")]
Stack = Annotated[str, typer.Option(envvar="PROJECTS_STACK", help="Name of the API's CloudFormation stack.")]


#: Id of an API key, either alone or inside the key.
KEY_ID = re.compile(r"(?:prj_)?(?P<id>[0-9a-f]{16})(?:_.*)?")


#: Duration until a key expires, such as ``90d``, ``12h`` or ``8 weeks``.
DURATION = re.compile(r"\+?(?P<count>\d+) ?(?P<unit>h|d|w|hours?|days?|weeks?)", re.IGNORECASE)

#: Most digits of a duration. Any number with more is too far away, and Python converts no text of over 4,300 digits.
MAX_DURATION_DIGITS = 20

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

USER_COLUMNS = ("EMAIL", "NAME", "PROJECTS", "CREATED", "DEACTIVATED", "ID")
KEY_COLUMNS = ("ID", "SCOPES", "CREATED", "EXPIRES", "REVOKED", "LAST USED")


def parse_expiry(text: str) -> datetime:
    """Return the time of expiry for a date, a time, or a duration from now.

    Raises:
        typer.BadParameter: The text is none of these, or not in the future.
    """
    now = datetime.now(timezone.utc)
    match = DURATION.fullmatch(text.strip())
    try:
        moment = now + _parse_duration(match) if match else _parse_time(text)
        if moment <= now:
            raise typer.BadParameter(f"'{text}' is not in the future.")
        return moment.replace(microsecond=0).astimezone(timezone.utc)
    except OverflowError:
        raise typer.BadParameter(
            "The time is too far away. Leave out --expires for a key that never expires."
        ) from None


def _parse_duration(match: re.Match[str]) -> timedelta:
    digits = match["count"]
    if len(digits) > MAX_DURATION_DIGITS:
        raise OverflowError
    return int(digits) * UNITS[match["unit"][0].lower()]


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text.strip()))
    except ValueError:
        raise typer.BadParameter(
            f"'{text}' is neither a date such as 2027-01-01, nor a time such as 2027-01-01T09:00:00Z, "
            "nor a duration such as 90d, 12h or 8w."
        ) from None
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc)


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
    if user["deactivated_at"]:
        terminal.print_note(
            f"{user['email']} is deactivated, which is final. Register a person who returns with another address."
        )
    elif user["name"] != name.strip():
        terminal.print_note(f"{user['email']} is already registered. The name remains '{user['name']}'.")


@users.command("list")
def list_users(*, stack: Stack = "projects", as_json: AsJson = False) -> None:
    """List the registered users."""
    rows = _list_all(stack, "ListUsers", {})
    if as_json:
        terminal.print_json({"items": rows})
        return
    names = ("email", "name", "project_count", "created_at", "deactivated_at", "user_id")
    terminal.print_table(USER_COLUMNS, [[row[name] for name in names] for row in rows])


@users.command()
def deactivate(
    email: Email,
    *,
    yes: Yes = False,
    stack: Stack = "projects",
    as_json: AsJson = False,
) -> None:
    """Deactivate a user, and revoke all of the user's API keys."""
    confirm(f"Deactivate {email}, and revoke all of the user's keys?", yes=yes)
    _print_response(invoke_function(stack, "DeactivateUser", {"email": email}), as_json=as_json)


@users.command("transfer-project")
def transfer_project(
    project_id: Annotated[str, typer.Argument(metavar="PROJECT_ID", help="The id of a project.")],
    email: Annotated[str, typer.Argument(help="The email address of the new owner: any active user.")],
    *,
    stack: Stack = "projects",
    as_json: AsJson = False,
) -> None:
    """Make a user the owner of a project, for example because the owner has left."""
    if (canonical_id := parse_id(project_id)) is None:
        raise InvalidInputError(f"'{project_id}' is not the id of a project. The deactivation of a user shows the ids.")
    event = {"project_id": canonical_id, "email": email}
    _print_response(invoke_function(stack, "TransferProject", event), as_json=as_json)


@keys.command("list")
def list_keys(
    email: Email,
    *,
    stack: Stack = "projects",
    as_json: AsJson = False,
) -> None:
    """List the API keys of a user, without their secrets, and the day on which each was last used."""
    rows = _list_all(stack, "ListApiKeys", {"email": email})
    if as_json:
        terminal.print_json({"items": rows})
        return
    names = ("created_at", "expires_at", "revoked_at", "last_used_on")
    table = [[row["key_id"], ", ".join(row["scopes"]), *(row[name] for name in names)] for row in rows]
    terminal.print_table(KEY_COLUMNS, table)


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
        typer.Option(
            parser=parse_expiry,
            metavar="TIME|DURATION",
            help="Date, time in UTC, or duration from now, such as 2027-01-01 or 90d.",
            show_default="never",
        ),
    ] = None,
    stack: Stack = "projects",
    as_json: AsJson = False,
) -> None:
    """Create an API key for a registered user. The key is shown only once."""
    event: dict[str, Any] = {"email": email, "scopes": scope or [Scope.READ, Scope.WRITE]}
    if expires:
        event["expires_at"] = expires.isoformat()
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


def _list_all(stack: str, function: str, event: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all rows of a list, page by page."""
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = invoke_function(stack, function, event | ({"cursor": cursor} if cursor else {}))
        rows += page["items"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return rows


def _print_response(response: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(response)
    else:
        terminal.print_fields(dict(_flatten(response)))


def _flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a response with dotted names; of objects in a list, only their ids."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield (
                prefix + name,
                ", ".join(str(each["key_id"]) if isinstance(each, dict) else str(each) for each in value),
            )
        else:
            yield prefix + name, value
