"""JSON as RFC 8259 defines it, for bodies and events that other programs write."""

import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

#: The maximum nesting depth. Recursive code could exhaust the stack on deeper content.
MAX_DEPTH = 1_000


class InvalidJsonError(ValueError):
    """The text is JSON with a value that cannot be stored. The message names the kind of value."""


def loads(text: str | bytes) -> Any:
    """Parse a text.

    A byte order mark before the JSON is ignored (RFC 8259, section 8.1, allows that).

    Raises:
        json.JSONDecodeError: The text is not JSON.
        UnicodeDecodeError: The text is not UTF-8.
        InvalidJsonError: The text contains NaN, an infinite number, a number with too many digits, half of a surrogate
            pair, or is nested too deeply.
    """
    text = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    try:
        content = json.loads(text, parse_constant=_reject_constant, parse_float=_parse_float)
    except RecursionError:
        raise InvalidJsonError("It is nested too deeply") from None
    except (json.JSONDecodeError, InvalidJsonError):
        raise
    except ValueError:  # https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        raise InvalidJsonError("It contains a number with too many digits") from None
    if next(islice(iterate_levels(content), MAX_DEPTH, None), None):
        raise InvalidJsonError("It is nested too deeply")
    return content


def _reject_constant(name: str) -> None:
    raise InvalidJsonError(f"It contains {name}, which is not JSON")


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise InvalidJsonError("It contains a number that is too large")
    return value


def iterate_levels(content: Any) -> Iterator[list[Any]]:
    """Yield the values of JSON data level by level, beginning with ``content`` itself."""
    level = [content]
    while level:
        yield level
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
