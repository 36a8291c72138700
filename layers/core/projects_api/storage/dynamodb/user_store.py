"""Users and API keys in the table."""

from collections.abc import Collection
from datetime import date, datetime

from projects_api.entities.clock import sortable
from projects_api.entities.ids import UserId
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


def get(user_id: UserId) -> User | None:
    """Return the user, also if they are deactivated, or None if there is no such user."""
    item = table.get_item(keys.user(user_id))
    return user_from_item(item) if item else None


def get_many_by_email(emails: Collection[Email]) -> dict[Email, User]:
    """Return the users who are registered with any of ``emails``, by email."""
    items = table.get_items([keys.email(email) for email in emails])
    users = map(user_from_item, items.values())
    return {user.email: user for user in users}


def insert(user: User) -> User:
    """Store a new user, or return the user who has the email already."""
    try:
        table.transact(
            table.build_put(email_claim_to_item(user), condition="attribute_not_exists(PK)"),
            table.build_put(user_to_item(user), condition="attribute_not_exists(PK)"),
            table.build_put(keys.listed_user(user.id)),
        )
    except ConditionFailedError as error:
        existing = user_from_item(error.items[0])
        return get(existing.id) or existing  # the claim of the email has no count of projects
    return user


def list_page(*, after: UserId | None, limit: int) -> tuple[list[User], bool]:
    """Return a page of all users in the order of registration, and whether there are more.

    Args:
        after: Start after this user, or None for the first page.
        limit: Maximum number of users to return.
    """
    page = table.query_page(
        keys.USERS_PARTITION,
        begins_with=keys.USERS,
        after=keys.listed_user(after) if after else None,
        limit=limit,
    )
    user_keys = [keys.user(UserId(keys.last_key_part(item, "SK"))) for item in page.items]
    items = table.get_items(user_keys)
    users = [user_from_item(items[keys.identity(key)]) for key in user_keys]
    return users, page.has_more


def deactivate(user: User, moment: datetime) -> None:
    """Mark a user as deactivated. A user who is deactivated already keeps the time."""
    table.transact(
        *(
            table.build_update(
                key,
                "SET deactivated_at = if_not_exists(deactivated_at, :moment)",
                condition="attribute_exists(PK)",
                values={":moment": text(sortable(moment))},
            )
            for key in (keys.user(user.id), keys.email(user.email))
        )
    )


def get_api_key(key_id: str) -> ApiKey | None:
    """Return the API key, also if it is revoked or expired, or None if there is no such key."""
    item = table.get_item(keys.api_key(key_id))
    return api_key_from_item(item) if item else None


def list_api_keys(user_id: UserId) -> list[ApiKey]:
    """Return all API keys of a user, the oldest first, also those that are revoked or expired."""
    listed = table.query_all(keys.user_partition(user_id), begins_with=keys.API_KEYS)
    items = table.get_items([keys.api_key(keys.last_key_part(item, "SK")) for item in listed])
    return sorted(map(api_key_from_item, items.values()), key=lambda key: (key.created_at, key.id))


def insert_api_key(key: ApiKey) -> None:
    """Store a new API key.

    Raises:
        ConditionFailedError: The user is deactivated.
    """
    table.transact(
        table.build_put(api_key_to_item(key), condition="attribute_not_exists(PK)"),
        table.build_put(keys.listed_api_key(key.user_id, key.id)),
        table.build_condition_check(keys.user(key.user_id), condition=keys.ACTIVE_USER),
    )


def mark_used(key_id: str, day: date) -> None:
    """Store the day of the last use of an API key.

    Raises:
        ConditionFailedError: A request of this day or of a later one has stored its day already.
    """
    table.update_item(
        keys.api_key(key_id),
        "SET last_used_on = :day",
        condition="attribute_exists(PK) AND (attribute_not_exists(last_used_on) OR last_used_on < :day)",
        values={":day": text(day.isoformat())},
    )


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
