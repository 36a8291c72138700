"""Cursors: the position in a list after which the next page starts.

Every list uses these two functions, so one rule holds for all cursors: a cursor belongs to one list with one filter and
one order. The limit may change from page to page.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256

from projects_api.entities.errors import InvalidInputError

#: Length of the digest of a list, filter and order in a cursor, in bytes. It tells lists apart and protects nothing.
_DIGEST_SIZE = 6


def encode_cursor(scope: Sequence[object], position: Sequence[str]) -> str:
    """Return the cursor of a position.

    Args:
        scope: The list, its project, its filters and its order.
        position: The position of the last item on the page.
    """
    content = _digest(scope) + json.dumps(position, separators=(",", ":")).encode()
    return urlsafe_b64encode(content).decode().rstrip("=")


def decode_cursor[T](scope: Sequence[object], cursor: str, parse: Callable[..., T]) -> T:
    """Return the position of a cursor.

    Args:
        scope: As for ``encode_cursor``.
        cursor: The cursor that a client sent.
        parse: Called with the parts of the position. It raises ValueError, TypeError, AttributeError or OverflowError
            if a part is invalid.

    Raises:
        InvalidInputError: The cursor belongs to another list, filter or order, or is none at all.
    """
    try:
        return parse(*_decode_position(scope, cursor))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InvalidInputError(
            "This cursor does not belong to this list, filter and order. Send the next_cursor of a page of the same "
            "request, or no cursor.",
            loc=("query", "cursor"),
        ) from None


def _decode_position(scope: Sequence[object], cursor: str) -> list[str]:
    content = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    if content[:_DIGEST_SIZE] != _digest(scope):
        raise ValueError("another scope")
    position = json.loads(content[_DIGEST_SIZE:])
    if not isinstance(position, list) or not all(isinstance(part, str) for part in position):
        raise TypeError("not a position")
    return position


def _digest(scope: Sequence[object]) -> bytes:
    return sha256(json.dumps(scope).encode()).digest()[:_DIGEST_SIZE]
