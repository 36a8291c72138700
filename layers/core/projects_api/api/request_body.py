"""Request bodies: every body is read as JSON."""

import base64
import json
from contextlib import suppress
from typing import Any

from projects_api.entities.errors import InvalidInputError

#: The maximum nesting depth of a body. A valid body needs only 1.
MAX_BODY_DEPTH = 1_000


def treat_body_as_json(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with the content type ``application/json`` and a body that is not in base64.

    Clients may send any content type: ``curl -d`` declares every body as a form.

    Args:
        event: An HTTP API event in payload format 2.0.

    Returns:
        The event. A body that was encoded in base64 is ``bytes``.
    """
    if "body" not in event:
        return event
    body = event["body"] or ""
    if event.get("isBase64Encoded"):
        with suppress(ValueError):  # parse_body then rejects the undecoded text
            body = base64.b64decode(body)
    headers = {name: value for name, value in event.get("headers", {}).items() if name.lower() != "content-type"}
    return event | {
        "body": body,
        "isBase64Encoded": False,
        "headers": headers | {"content-type": "application/json"},
    }


def parse_body(body: str | bytes) -> Any:
    """Parse a request body as JSON.

    Raises:
        json.JSONDecodeError: The body is not JSON. Powertools reports this error with its position.
        InvalidInputError: The body is a list, is not UTF-8, is nested too deeply, or contains a too long number.
    """
    try:
        content = json.loads(body.decode() if isinstance(body, bytes) else body)
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError:
        raise _invalid_body("The body is not UTF-8: send one JSON object in UTF-8.") from None
    except RecursionError:
        raise _nested_too_deeply() from None
    except ValueError:  # https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        raise _invalid_body("The body contains a number with too many digits: send a smaller number.") from None
    if isinstance(content, list):  # Powertools would validate only the first item
        raise _invalid_body("The body is a list: send one JSON object.", type_="model_attributes_type")
    if _is_nested_too_deeply(content):
        raise _nested_too_deeply()
    return content


def _invalid_body(message: str, *, type_: str = "json_invalid") -> InvalidInputError:
    return InvalidInputError(message, loc=("body",), type=type_)


def _nested_too_deeply() -> InvalidInputError:
    return _invalid_body("The body is nested too deeply: send one JSON object.")


def _is_nested_too_deeply(content: Any) -> bool:
    """Return whether the nesting exceeds ``MAX_BODY_DEPTH``, which could exhaust the stack of later recursive code."""
    layer = [content]
    for _ in range(MAX_BODY_DEPTH):
        layer = [
            child
            for node in layer
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return bool(layer)
