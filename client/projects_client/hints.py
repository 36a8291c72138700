"""Hints of the API's errors, in terms of the library instead of routes."""

import re
from typing import Final

#: A sentence that tells users of HTTP which route to call.
_ROUTE_SENTENCE: Final = re.compile(r"(?:^|(?<=[.!?] ))[^.!?]*\b(?:GET|POST|PUT|DELETE) (?:/|…)[^.!?]*[.!?] ?")

#: Hint for each status and route; the first that matches counts.
_HINTS: Final = (
    (404, re.compile(r".*/exports/[^/]+"), "`project.exports()` shows them, and `project.export()` starts one."),
    (404, re.compile(r"DELETE .*/members/[^/]+|PUT .*/owner"), "`project.members()` shows its members."),
    (404, re.compile(r".*/resources/[^/]+"), "`project.resources()` shows its resources."),
    # without POST …/members, where a user who is not registered has the same status
    (404, re.compile(r"(?!POST .*/members).*/api/projects/[^/]+(?:/(?:exports?|members|timeline|activity|resources))?"),
     "`client.projects.list()` shows yours."),
    (404, re.compile(r".*/api/imports/[^/]+"), "`client.import_project()` starts one."),
    (409, re.compile(r".*/api/projects/[^/]+/exports?(?:/[^/]+)?"), "`project.exports()` shows the exports."),
    (409, re.compile(r"DELETE .*/members/[^/]+"),
     "Transfer the ownership first with `project.transfer_ownership()`, or delete the project if nobody needs it."),
)  # fmt: skip


def name_methods(text: str, status: int, route: str) -> str:
    """Return the text of an error, with a hint that names a method instead of a route.

    The hint depends on the status and the route of the failed request, not on the words of the API.

    Args:
        text: Text of the API.
        status: Status of the response.
        route: Method and path of the request, such as ``GET /api/projects``.
    """
    hint = next((hint for code, pattern, hint in _HINTS if code == status and pattern.fullmatch(route)), None)
    own_text = _ROUTE_SENTENCE.sub("", text).strip() or text
    return f"{own_text} {hint}" if hint and hint not in own_text else own_text
