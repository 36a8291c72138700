"""Users and their API keys: register, issue, revoke and authenticate."""

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from aws_lambda_powertools import Logger

from projects_api.domain.cursors import decode_cursor, encode_cursor
from projects_api.entities.clock import now
from projects_api.entities.errors import (
    ActiveUserNotFoundError,
    ApiKeyNotFoundError,
    InvalidInputError,
    UserNotFoundError,
)
from projects_api.entities.ids import UserId, new_id
from projects_api.entities.text import is_blank, to_nfc
from projects_api.entities.user import ApiKey, Email, Scope, User
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import user_store

logger = Logger(child=True)

#: Maximum length of an email address, in characters (RFC 5321, section 4.5.3.1.3, minus the angle brackets).
MAX_EMAIL_LENGTH = 254

#: Characters that no part of an email address has: controls, and formats that make two addresses look the same. The
#: joiners U+200C and U+200D are none of them, because domains may contain them (RFC 5892, appendix A).
_FORBIDDEN = r"@\s\u0000-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
#: The last character is no full stop, which belongs to the sentence that somebody copied the address from.
EMAIL_PATTERN = rf"^[^{_FORBIDDEN}]+@[^{_FORBIDDEN}]*[^{_FORBIDDEN}.]$"

#: Maximum length of a user's name, in characters.
MAX_NAME_LENGTH = 200

_EMAIL = re.compile(EMAIL_PATTERN)
_API_KEY = re.compile(r"prj_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_-]{43})")


def normalize_email(address: str) -> Email:
    """Return ``address`` in the form in which emails are compared: trimmed, in NFC and lower case.

    A final sigma counts as a sigma. There is no further folding, because it would merge different people's addresses.

    Raises:
        InvalidInputError: ``address`` is not an email address. The message does not contain it, because Lambda logs
            the errors of operator functions.
    """
    email = to_nfc(to_nfc(address.strip(), MAX_EMAIL_LENGTH).lower().replace("ς", "σ"), MAX_EMAIL_LENGTH)
    if len(email) > MAX_EMAIL_LENGTH or not _EMAIL.fullmatch(email):
        raise InvalidInputError(
            f"This is not an email address: send it as name@domain, in at most {MAX_EMAIL_LENGTH} characters.",
            loc=("body", "email"),
        )
    return Email(email)


def register(email: str, name: str) -> User:
    """Register a user. If the email is registered already, return that user unchanged.

    Raises:
        InvalidInputError: The name is blank or too long, or the email is not an email address.
    """
    name = to_nfc(name.strip(), MAX_NAME_LENGTH)
    if len(name) > MAX_NAME_LENGTH or is_blank(name):
        raise InvalidInputError(f"Give a name of 1 to {MAX_NAME_LENGTH} characters.", loc=("body", "name"))
    return user_store.insert(User(UserId(new_id()), normalize_email(email), name, now()))


def get_by_email(email: str) -> User:
    """Return the user who is registered with ``email``, also if they are deactivated.

    Raises:
        UserNotFoundError: No user is registered with ``email``.
        InvalidInputError: ``email`` is not an email address.
    """
    user = user_store.get_by_email(normalize_email(email))
    if user is None:
        raise UserNotFoundError(
            "No user is registered with this email. Check it in the list of users, or register them first."
        )
    return user


@dataclass(frozen=True, slots=True)
class UserPage:
    """A page of users, and the cursor of the next page if there is one."""

    users: list[User]
    next_cursor: str | None


def list_page(*, cursor: str | None, limit: int) -> UserPage:
    """Return a page of all users in the order of registration.

    Raises:
        InvalidInputError: The cursor does not belong to this list.
    """
    after = decode_cursor(["users"], cursor, lambda user_id: UserId(str(UUID(user_id)))) if cursor else None
    users, has_more = user_store.list_page(after=after, limit=limit)
    return UserPage(users, encode_cursor(["users"], [users[-1].id]) if has_more else None)


def list_api_keys(email: str) -> list[ApiKey]:
    """Return all API keys of a user, the oldest first.

    Raises:
        UserNotFoundError: No user is registered with ``email``.
        InvalidInputError: ``email`` is not an email address.
    """
    return user_store.list_api_keys(get_by_email(email).id)


def create_api_key(email: str, scopes: frozenset[Scope], expires_at: datetime | None) -> tuple[ApiKey, str]:
    """Issue an API key to a registered user.

    Returns:
        The key as stored, and its text. The text contains the secret, which is not stored: nobody can read it again.

    Raises:
        UserNotFoundError: No active user is registered with ``email``.
        InvalidInputError: ``scopes`` is empty, ``expires_at`` has passed, or ``email`` is not an email address.
    """
    if not scopes:
        raise InvalidInputError(f"Give at least one scope of: {', '.join(Scope)}.", loc=("body", "scopes"))
    moment = now()
    if expires_at and expires_at <= moment:
        raise InvalidInputError("expires_at has passed: give a time in the future.", loc=("body", "expires_at"))
    user = get_by_email(email)
    if user.deactivated_at:
        raise ActiveUserNotFoundError
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    key = ApiKey(key_id, user.id, user.email, user.name, _hash_secret(secret), scopes, moment, expires_at)
    try:
        user_store.insert_api_key(key)
    except ConditionFailedError:
        raise ActiveUserNotFoundError from None
    return key, f"prj_{key_id}_{secret}"


def revoke_api_key(key_id: str) -> ApiKey:
    """Revoke an API key. A key that is revoked already keeps the time of its revocation.

    Raises:
        ApiKeyNotFoundError: No API key has this id.
    """
    try:
        return user_store.revoke_api_key(key_id, now())
    except ConditionFailedError:
        raise ApiKeyNotFoundError(key_id) from None


def authenticate(text: str) -> ApiKey | None:
    """Return the API key with this text, or None if it is malformed, unknown, revoked or expired.

    No key of a deactivated user is valid, even one that is not revoked yet. The first use of each day is recorded, and
    the reason of each rejection is logged.

    The secret is compared in constant time, also for an unknown key.
    """
    key, rejection = _find_key(text)
    if key is None or rejection:
        # the id of a key is no secret, and tells an operator who still uses it
        logger.info("API key rejected", extra={"reason": rejection} | ({"key_id": key.id} if key else {}))
        return None
    _record_use(key)
    return key


def _find_key(text: str) -> tuple[ApiKey | None, str | None]:
    """Return the stored key with the id in ``text``, and the reason to reject it if there is one."""
    match = _API_KEY.fullmatch(text)
    if match is None:
        return None, "malformed"
    key = user_store.get_api_key(match["id"])
    expected = key.secret_sha256 if key else "0" * 64
    same = hmac.compare_digest(_hash_secret(match["secret"]), expected)
    if key is None or not same:
        return key, "wrong secret" if key else "unknown"
    if key.revoked_at:
        return key, "revoked"
    if key.expires_at and key.expires_at <= now():
        return key, "expired"
    user = user_store.get(key.user_id)
    return key, "user deactivated" if user is None or user.deactivated_at else None


def _record_use(key: ApiKey) -> None:
    """Store the day of the key's last use, once a day. A request is not rejected because this fails."""
    day = now().date()
    if key.last_used_on is None or key.last_used_on < day:
        try:
            user_store.mark_used(key.id, day)
        except ConditionFailedError:
            pass  # a parallel request has stored the day
        except Exception as error:  # noqa: BLE001 - the request is more important than its record
            logger.warning("The use of an API key could not be recorded: %s", type(error).__name__)


def _hash_secret(secret: str) -> str:
    """Return the SHA-256 of ``secret``. One round is enough: nobody can guess 256 random bits."""
    return sha256(secret.encode()).hexdigest()
