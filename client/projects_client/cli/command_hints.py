"""Hints of the API's errors, in terms of commands."""

import re
from typing import Final

from projects_client.errors import ProjectsClientError

#: A sentence that tells users of HTTP which route to call.
_ROUTE_SENTENCE: Final = re.compile(r"(?:^|(?<=[.!?] ))[^.!?]*\b(?:GET|POST|PUT|DELETE) (?:/|…)[^.!?]*[.!?] ?")

#: Hint for each status and route; the first that matches counts.
_HINTS: Final = (
    (404, re.compile(r".*/exports/[^/]+"), "`projects exports list` shows them, and `projects export` starts one."),
    (404, re.compile(r"DELETE .*/members/[^/]+"), "`projects members list` shows its members."),
    (404, re.compile(r".*/resources/[^/]+"), "`projects resources list` shows its resources."),
    (404, re.compile(r".*/api/projects/[^/]+(?:/(?:export|exports|members|timeline|activity|resources))?"),
     "`projects list` shows yours."),
    (409, re.compile(r".*/api/projects/[^/]+/exports?(?:/[^/]+)?"), "`projects exports list` shows the exports."),
)  # fmt: skip


def name_commands(error: ProjectsClientError) -> str:
    """Return the text of an error, with a hint that names a command instead of a route.

    The hint depends on the status and the route of the failed request, not on the words of the API.
    """
    text = str(error)
    if error.status is None or error.route is None:
        return text
    hint = next(
        (hint for status, route, hint in _HINTS if status == error.status and route.fullmatch(error.route)), None
    )
    own_text = _ROUTE_SENTENCE.sub("", text).strip() or text
    return f"{own_text} {hint}" if hint and hint not in own_text else own_text
