"""Users and API keys in the table."""

from datetime import datetime

from projects_api.entities.clock import sortable
from projects_api.entities.user import ApiKey, Email, User
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.item_mapping import (
    api_key_from_item,
    api_key_to_item,
    email_claim_to_item,
    user_from_item,
    user_to_item,
)
from projects_api.storage.dynamodb.keys import text


def get_by_email(email: Email) -> User | None:
    """Return the user who is registered with ``email``, or None."""
    item = table.get_item(keys.email(email))
    return user_from_item(item) if item else None


def insert(user: User) -> User:
    """Store a new user, or return the user who has the email already."""
    try:
        table.transact(
            table.build_put(email_claim_to_item(user), condition="attribute_not_exists(PK)"),
            table.build_put(user_to_item(user), condition="attribute_not_exists(PK)"),
        )
    except ConditionFailedError as error:
        return user_from_item(error.items[0])
    return user


def get_api_key(key_id: str) -> ApiKey | None:
    """Return the API key, also if it is revoked or expired, or None if there is no such key."""
    item = table.get_item(keys.api_key(key_id))
    return api_key_from_item(item) if item else None


def insert_api_key(key: ApiKey) -> None:
    """Store a new API key."""
    table.transact(table.build_put(api_key_to_item(key), condition="attribute_not_exists(PK)"))


def revoke_api_key(key_id: str, moment: datetime) -> ApiKey:
    """Revoke an API key. A key that is revoked already keeps the time of its revocation.

    Raises:
        ConditionFailedError: There is no such key.
    """
    item = table.update_item(
        keys.api_key(key_id),
        "SET revoked_at = if_not_exists(revoked_at, :moment)",
        condition="attribute_exists(PK)",
        values={":moment": text(sortable(moment))},
    )
    return api_key_from_item(item)
