"""The base path of an API mapping: https://api.example.com/ml/api/projects for the mapping ``ml`` of a custom domain.

API Gateway passes the whole path to the functions, including the base path of the mapping
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-mappings.html).
"""

from typing import Any


def split_base_path(event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the base path, and the event without it.

    The route tells how many segments the path of the API has. All segments before them are the base path.

    Args:
        event: An HTTP API event in payload format 2.0.
    """
    route, path = str(event.get("routeKey") or "").partition(" ")[2], str(event.get("rawPath") or "")
    surplus = path.count("/") - route.count("/")
    if not route or surplus <= 0:
        return "", event
    segments = path.split("/")
    base_path, own_path = "/".join(segments[: surplus + 1]), "/" + "/".join(segments[surplus + 1 :])
    if own_path.split("/")[1] != route.split("/")[1]:
        return "", event
    request = event.get("requestContext") or {}
    http = (request.get("http") or {}) | {"path": own_path}
    return base_path, event | {"rawPath": own_path, "requestContext": request | {"http": http}}


def add_base_path(base_path: str, response: dict[str, Any]) -> dict[str, Any]:
    """Return a response whose ``Location``, if it is a path of the API, starts with the base path."""
    headers = response.get("headers") or {}
    location = headers.get("Location", "")
    if not base_path or not location.startswith("/"):
        return response
    return response | {"headers": headers | {"Location": base_path + location}}
