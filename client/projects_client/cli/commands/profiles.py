"""Commands ``projects login``, ``logout`` and ``whoami``."""

import os
import sys

import typer

from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, create_client, get_connection
from projects_client.client import Client, check_key
from projects_client.errors import InvalidInputError, NotFoundError
from projects_client.profiles import DEFAULT_PROFILE, Profile, load_profile, remove_profile, save_profile

app = typer.Typer()


@app.command()
def login(context: typer.Context) -> None:
    """Save the URL of the API and your key, in a file that only you can read.

    The command asks for the key without showing it, or reads it from stdin: `projects login < key.txt`.
    """
    connection = get_connection(context)
    name = connection.profile or DEFAULT_PROFILE
    saved = load_profile(name)
    url = connection.url or os.environ.get("PROJECTS_API_URL") or (saved.url if saved else None)
    if sys.stdin.isatty():
        url = connection.url or str(typer.prompt("URL of the API", default=url, err=True))
        key = connection.key or str(typer.prompt("API key (not shown)", hide_input=True, err=True))
    else:
        if not url:
            raise InvalidInputError("The URL of the API is missing. Use `projects --api-url URL login`.")
        key = connection.key or sys.stdin.readline()
    client = Client(url.strip(), check_key(key))
    me = client.me()
    file = save_profile(name, Profile(client.url, check_key(key)))
    terminal.print_note(f"You are {me.user.email}. The profile '{name}' is saved in {file}.")


@app.command()
def logout(context: typer.Context) -> None:
    """Remove a saved profile. The key itself stays valid until an operator revokes it."""
    name = get_connection(context).profile or DEFAULT_PROFILE
    if not remove_profile(name):
        raise NotFoundError(f"There is no profile '{name}'.")
    terminal.print_note(f"The profile '{name}' is removed. Its key stays valid until an operator revokes it.")


@app.command()
def whoami(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show whose key is in use, and what it may do."""
    client = create_client(context)
    me = client.me()
    if as_json:
        terminal.print_json(me.raw)
        return
    key = me.raw.get("key", {})
    terminal.print_fields(
        {"url": client.url}
        | {name: me.raw["user"].get(name) for name in ("email", "name", "id")}
        | {f"key.{name}": ", ".join(value) if isinstance(value, list) else value for name, value in key.items()}
    )
