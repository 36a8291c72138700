"""Request bodies: every body is read as JSON."""

import base64
from contextlib import suppress
from typing import Any

from projects_api.entities import strict_json
from projects_api.entities.errors import InvalidInputError
from projects_api.entities.strict_json import InvalidJsonError


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
        InvalidInputError: The body is a list, is not UTF-8, is nested too deeply, or contains a number that JSON does
            not allow or that is too long.
    """
    try:
        content = strict_json.loads(body)
    except UnicodeDecodeError:
        raise _invalid_body("The body is not UTF-8: send one JSON object in UTF-8.") from None
    except InvalidJsonError as error:
        reason = str(error).replace("It ", "The body ", 1)
        raise _invalid_body(f"{reason}: send one JSON object.") from None
    if isinstance(content, list):  # Powertools would validate only the first item
        raise _invalid_body("The body is a list: send one JSON object.", type_="model_attributes_type")
    return content


def _invalid_body(message: str, *, type_: str = "json_invalid") -> InvalidInputError:
    return InvalidInputError(message, loc=("body",), type=type_)
