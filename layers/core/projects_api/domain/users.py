"""Users and their API keys."""

import hmac
import re
import secrets
from datetime import datetime
from hashlib import sha256

from projects_api.entities.clock import now
from projects_api.entities.errors import ApiKeyNotFoundError, InvalidInputError, UserNotFoundError, redact
from projects_api.entities.ids import UserId, new_id
from projects_api.entities.user import ApiKey, Email, Scope, User
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import user_store

#: An address is at most this long (RFC 5321, section 4.5.3.1.3, less the angle brackets).
EMAIL_LENGTH = 254
EMAIL_PATTERN = r"^[^@\s\u0000-\u001f\u007f-\u009f]+@[^@\s\u0000-\u001f\u007f-\u009f]+$"
NAME_LENGTH = 200

_EMAIL = re.compile(EMAIL_PATTERN)
_API_KEY = re.compile(r"prj_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_-]{43})")


def normalize_email(address: str) -> Email:
    """``address`` as it is compared: without the space around it, in lower case.

    Raises:
        InvalidInputError: It is not the form of an address.
    """
    email = address.strip().lower()
    if len(email) > EMAIL_LENGTH or not _EMAIL.fullmatch(email):
        raise InvalidInputError(
            f"{redact(address)} is not an email address: give it as name@domain, in at most {EMAIL_LENGTH} characters.",
            loc=("body", "email"),
        )
    return Email(email)


def register(email: str, name: str) -> User:
    """Registers a user. Whoever is registered with the email already is returned as they are.

    Raises:
        InvalidInputError: The name is blank or too long, or the email has not the form of an address.
    """
    name = name.strip()
    if not 0 < len(name) <= NAME_LENGTH:
        raise InvalidInputError(f"Give a name of 1 to {NAME_LENGTH} characters.", loc=("body", "name"))
    return user_store.insert(User(UserId(new_id()), normalize_email(email), name, now()))


def create_api_key(email: str, scopes: frozenset[Scope], expires_at: datetime | None) -> tuple[ApiKey, str]:
    """Issues an API key to a registered user.

    Returns:
        The key as it is stored, and its text, which can't be had again.

    Raises:
        UserNotFoundError: Nobody is registered with ``email``.
        InvalidInputError: There is no scope, or the time has passed.
    """
    if not scopes:
        raise InvalidInputError(f"Give at least one scope of: {', '.join(Scope)}.", loc=("body", "scopes"))
    moment = now()
    if expires_at and expires_at <= moment:
        raise InvalidInputError("expires_at has passed: give a time to come.", loc=("body", "expires_at"))
    user = user_store.find(normalize_email(email))
    if user is None:
        raise UserNotFoundError("No user is registered with this email. Register them first.")
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    key = ApiKey(key_id, user.id, user.email, user.name, _digest(secret), scopes, moment, expires_at)
    user_store.insert_api_key(key)
    return key, f"prj_{key_id}_{secret}"


def revoke_api_key(key_id: str) -> ApiKey:
    """Revokes an API key from now on; one that was revoked stays so.

    Raises:
        ApiKeyNotFoundError: There is no such key.
    """
    try:
        return user_store.revoke_api_key(key_id, now())
    except ConditionFailedError:
        raise ApiKeyNotFoundError(key_id) from None


def authenticate(text: str) -> ApiKey | None:
    """The API key whose text this is, if it is valid now. The secret is compared in constant time."""
    match = _API_KEY.fullmatch(text)
    if match is None:
        return None
    key = user_store.get_api_key(match["id"])
    expected = key.secret_sha256 if key else "0" * 64
    same = hmac.compare_digest(_digest(match["secret"]), expected)
    if key is None or not same or key.revoked_at or (key.expires_at and key.expires_at <= now()):
        return None
    return key


def _digest(secret: str) -> str:
    """The secret has 256 random bits, so that one round of SHA-256 can't be turned round by guessing."""
    return sha256(secret.encode()).hexdigest()
