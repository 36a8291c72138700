"""Texts of the library's errors, in terms of commands."""

from typing import Final

#: Command or option for what the library's texts name; a test compares them with these texts.
COMMANDS: Final = {
    "Call it again": "Run the same command again",
    "Give `Client(url, key)`": "Use `--api-url` and `--api-key`",
    "`client.import_project()`": "`projects import`",
    "`client.projects.list()`": "`projects list`",
    "`force=True`": "`--force`",
    "`project.export()`": "`projects export`",
    "`project.exports()`": "`projects exports list`",
    "`project.members()`": "`projects members list`",
    "`project.resources()`": "`projects resources list`",
    "`project.transfer_ownership()`": "`projects transfer`",
    "`update=True`": "`--update`",
}


def name_commands(text: str) -> str:
    """Return the text of an error, with commands instead of methods."""
    for method, command in COMMANDS.items():
        text = text.replace(method, command)
    return text
