"""Users and their API keys: register, issue, revoke and authenticate."""

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

#: Maximum length of an email address, in characters (RFC 5321, section 4.5.3.1.3, minus the angle brackets).
MAX_EMAIL_LENGTH = 254
EMAIL_PATTERN = r"^[^@\s\u0000-\u001f\u007f-\u009f]+@[^@\s\u0000-\u001f\u007f-\u009f]+$"

#: Maximum length of a user's name, in characters.
MAX_NAME_LENGTH = 200

_EMAIL = re.compile(EMAIL_PATTERN)
_API_KEY = re.compile(r"prj_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_-]{43})")


def normalize_email(address: str) -> Email:
    """Return ``address`` in the form in which emails are compared: without surrounding space, in lower case.

    Raises:
        InvalidInputError: ``address`` is not an email address.
    """
    email = address.strip().lower()
    if len(email) > MAX_EMAIL_LENGTH or not _EMAIL.fullmatch(email):
        raise InvalidInputError(
            f"{redact(address)} is not an email address: "
            f"give it as name@domain, in at most {MAX_EMAIL_LENGTH} characters.",
            loc=("body", "email"),
        )
    return Email(email)


def register(email: str, name: str) -> User:
    """Register a user. If the email is registered already, return that user unchanged.

    Raises:
        InvalidInputError: The name is blank or too long, or the email is not an email address.
    """
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise InvalidInputError(f"Give a name of 1 to {MAX_NAME_LENGTH} characters.", loc=("body", "name"))
    return user_store.insert(User(UserId(new_id()), normalize_email(email), name, now()))


def create_api_key(email: str, scopes: frozenset[Scope], expires_at: datetime | None) -> tuple[ApiKey, str]:
    """Issue an API key to a registered user.

    Returns:
        The key as stored, and its text. The text contains the secret, which is not stored: nobody can read it again.

    Raises:
        UserNotFoundError: No user is registered with ``email``.
        InvalidInputError: ``scopes`` is empty, ``expires_at`` has passed, or ``email`` is not an email address.
    """
    if not scopes:
        raise InvalidInputError(f"Give at least one scope of: {', '.join(Scope)}.", loc=("body", "scopes"))
    moment = now()
    if expires_at and expires_at <= moment:
        raise InvalidInputError("expires_at has passed: give a time in the future.", loc=("body", "expires_at"))
    user = user_store.get_by_email(normalize_email(email))
    if user is None:
        raise UserNotFoundError("No user is registered with this email. Register them first.")
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    key = ApiKey(key_id, user.id, user.email, user.name, _hash_secret(secret), scopes, moment, expires_at)
    user_store.insert_api_key(key)
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

    The secret is compared in constant time, also for an unknown key.
    """
    match = _API_KEY.fullmatch(text)
    if match is None:
        return None
    key = user_store.get_api_key(match["id"])
    expected = key.secret_sha256 if key else "0" * 64
    same = hmac.compare_digest(_hash_secret(match["secret"]), expected)
    if key is None or not same or key.revoked_at or (key.expires_at and key.expires_at <= now()):
        return None
    return key


def _hash_secret(secret: str) -> str:
    """Return the SHA-256 of ``secret``. One round is enough: nobody can guess 256 random bits."""
    return sha256(secret.encode()).hexdigest()
