"""The resolver that every route's function is made with."""

import base64
import json
from typing import Any

from projects_api.api.error_responses import LIST, NOT_UTF8, TOO_DEEP, TOO_LONG_A_NUMBER

#: How deep a body may be nested. None that is valid needs more than 1.
MAX_BODY_DEPTH = 1_000


def as_json(event: dict[str, Any]) -> dict[str, Any]:
    """The event with a body of JSON, whatever the client calls it: ``curl -d`` calls everything a form.

    What the validation could not even try to parse is replaced by a sentence, which it then refuses.
    """
    if "body" not in event:
        return event
    body = event["body"] or ""
    try:
        text = base64.b64decode(body).decode() if event.get("isBase64Encoded") else body
        content = json.loads(text) if text else None
        if isinstance(content, list):
            text = LIST  # Powertools would take the first of it
        elif _is_deep(content):
            text = TOO_DEEP
    except json.JSONDecodeError:
        pass  # the validation says where
    except UnicodeDecodeError:
        text = NOT_UTF8
    except RecursionError:
        text = TOO_DEEP
    except ValueError:
        text = TOO_LONG_A_NUMBER
    headers = {name: value for name, value in event.get("headers", {}).items() if name.lower() != "content-type"}
    return event | {
        "body": text,
        "isBase64Encoded": False,
        "headers": headers | {"content-type": "application/json"},
    }


def _is_deep(content: Any) -> bool:
    """Whether JSON is nested more than ``MAX_BODY_DEPTH``: who reads it again may have less of a stack left for it."""
    layer = [content]
    for _ in range(MAX_BODY_DEPTH):
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(layer)
