"""The position of the sweep of artifacts without a project."""

from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.keys import text


def get_position() -> str:
    """Return the folder after which the next run continues, or an empty string for the start."""
    item = table.get_item(keys.sweep())
    return item["position"]["S"] if item else ""


def set_position(folder: str) -> None:
    """Store the folder after which the next run continues."""
    table.transact(table.build_put(keys.sweep() | {"position": text(folder)}))
