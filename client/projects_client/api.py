"""HTTP client of the Projects API, with retries and errors that end in an exit code."""

import re
import unicodedata
from collections.abc import Iterator
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import InvalidHeader
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from projects_client.errors import (
    CommandError,
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    UnavailableError,
)

Json: TypeAlias = dict[str, Any]

USER_AGENT = f"projects-client/{version('projects-client')}"

#: Timeouts for connecting and for the response, in seconds. The API's functions time out after 29 seconds.
TIMEOUT = (5, 35)

#: Statuses of failures that a retry may resolve.
RETRYABLE_STATUSES: Final = frozenset({429, 500, 502, 503, 504})

#: Maximum page sizes of the API's lists.
MAX_PROJECTS_PAGE, MAX_MEMBERS_PAGE, MAX_EVENTS_PAGE, MAX_EXPORTS_PAGE = 500, 100, 1000, 100


class _LenientRetry(Retry):
    """Retry policy that ignores a ``Retry-After`` header that is neither seconds nor a date (RFC 9110, 10.2.3)."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except InvalidHeader:
            return None


#: Retries every method: the API's writes are idempotent, and ``create`` sends an Idempotency-Key.
RETRY_POLICY: Final = _LenientRetry(
    total=4,
    connect=2,
    read=2,
    other=0,  # TLS errors are permanent
    backoff_factor=0.5,
    backoff_jitter=0.25,
    backoff_max=8,
    status_forcelist=RETRYABLE_STATUSES,
    allowed_methods=None,
    raise_on_status=False,
    retry_after_max=30,
)

#: The first characters of an id, as narrow terminals show them.
_ID_START: Final = re.compile(r"[0-9a-fA-F]{8}[0-9a-fA-F-]{,28}")

_INVALID_URL = "'{}' is not a valid API URL. Use https://host or http://host:port."

#: Hints in the API's errors that name a route, with the hint that names the command instead.
_COMMAND_HINTS = {
    "GET /api/projects lists yours.": "`projects list` shows yours.",
    "GET …/members lists its members.": "`projects members list` shows its members.",
    "POST …/exports starts a new one.": "`projects export` starts a new one.",
}

_ERRORS_BY_STATUS: dict[int, type[CommandError]] = {
    HTTPStatus.BAD_REQUEST: InvalidInputError,
    HTTPStatus.FORBIDDEN: NotAllowedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidInputError,
}


class _BearerAuth(AuthBase):
    """Authentication with an API key; requests lets credentials of ``.netrc`` replace a plain header."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class ApiClient:
    """Client of the Projects API with one API key.

    Every method that sends a request raises a ``CommandError`` when the request fails.

    Args:
        url: Base URL of the API, such as ``https://host`` or ``http://host:port``.
        key: API key.

    Raises:
        InvalidInputError: ``url`` is not an HTTP URL.
    """

    def __init__(self, url: str, key: str) -> None:
        if not _is_http_url(url):
            raise InvalidInputError(_INVALID_URL.format(url))
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = _BearerAuth(key)
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=RETRY_POLICY))

    def get(self, path: str, **query: Any) -> Json:
        """Send a GET request; ``path`` follows ``/api/projects``."""
        return self._send("GET", path, query=query)

    def post(self, path: str, body: Json | None = None, *, headers: dict[str, str] | None = None) -> Json:
        """Send a POST request; ``path`` follows ``/api/projects``."""
        return self._send("POST", path, body=body, headers=headers)

    def put(self, path: str, body: Json) -> Json:
        """Send a PUT request; ``path`` follows ``/api/projects``."""
        return self._send("PUT", path, body=body)

    def delete(self, path: str) -> Json:
        """Send a DELETE request; ``path`` follows ``/api/projects``."""
        return self._send("DELETE", path)

    def find_project(self, text: str) -> Json:
        """Return the project with an id, a name, or the first characters of an id.

        An id comes first, then a name, then the start of an id. Names match exactly, or else without regard to case.

        Raises:
            NotFoundError: The caller has no such project.
            ConflictError: Several projects have the name; the text lists their ids.
            NotAllowedError: The API key has no read scope.
        """
        not_found: NotFoundError | None = None
        if is_id(text):
            try:
                project: Json = self.get(f"/{UUID(text)}")["project"]
            except NotFoundError as error:
                not_found = error
            else:
                return project
        try:
            return self._find_by_name(_normalize(text))
        except NotFoundError:
            if not_found is None:
                raise
            raise not_found from None

    def find_project_id(self, text: str) -> str:
        """Return the id of a project. A key without the read scope can use an id, but no name.

        Raises:
            CommandError: As ``find_project`` raises.
        """
        try:
            return str(self.find_project(text)["id"])
        except NotAllowedError:
            if is_id(text):
                return str(UUID(text))
            raise

    def _find_by_name(self, name: str) -> Json:
        try:
            candidates = list(self.iterate_projects(search=name))
        except NotAllowedError as error:
            raise NotAllowedError(f"{error} Or give the project's id: looking up a name needs read access.") from None
        same_letters = [project for project in candidates if _normalize(project["name"]).casefold() == name.casefold()]
        matches = [project for project in same_letters if _normalize(project["name"]) == name] or same_letters
        if not matches and _ID_START.fullmatch(name) and not is_id(name):
            matches = [project for project in self.iterate_projects() if project["id"].startswith(name.lower())]
        match matches:
            case [project]:
                return project
            case []:
                suggestions = ", ".join(f"'{project['name']}'" for project in candidates[:3])
                raise NotFoundError(
                    f"You have no project named '{name}'. "
                    + (f"Did you mean {suggestions}?" if suggestions else "`projects list` shows your projects.")
                )
        ids = ", ".join(project["id"] for project in matches)
        raise ConflictError(f"You have {len(matches)} projects named '{name}'. Give the id of one of them: {ids}.")

    def get_export(self, project_id: str, export_id: str) -> Json:
        """Return the API's response for an export.

        Raises:
            InvalidInputError: ``export_id`` is not a UUID.
            NotFoundError: The project has no such export.
        """
        if not is_id(export_id):
            raise InvalidInputError(f"'{export_id}' is not the id of an export. `projects exports list` shows the ids.")
        return self.get(f"/{project_id}/exports/{export_id}")

    def iterate_projects(self, **query: Any) -> Iterator[Json]:
        """Yield all projects that match a query, page by page."""
        yield from self._iterate_items("", MAX_PROJECTS_PAGE, query)

    def iterate_members(self, project_id: str) -> Iterator[Json]:
        """Yield all members of a project, the owner first."""
        yield from self._iterate_items(f"/{project_id}/members", MAX_MEMBERS_PAGE, {})

    def read_cursor_list(self, path: str, items: str, *, limit: int | None, page_size: int, **query: Any) -> Json:
        """Read a list with cursors, and return it in the shape of one page.

        Args:
            path: Path of the list, after ``/api/projects``.
            items: Name of the field that holds the entries of a page.
            limit: Maximum number of entries; None reads the whole list.
            page_size: Maximum number of entries of one request.
            query: Further query parameters.

        Returns:
            The last page, with the entries of all pages.
        """
        entries: list[Json] = []
        cursor = None
        while True:
            page_limit = page_size if limit is None else min(limit - len(entries), page_size)
            page = self.get(path, **query, limit=page_limit, cursor=cursor)
            entries += page[items]
            cursor = page["next_cursor"]
            if cursor is None or len(entries) == limit:
                return page | {items: entries}

    def _iterate_items(self, path: str, page_size: int, query: Json) -> Iterator[Json]:
        offset, has_more = 0, True
        while has_more:
            page = self.get(path, **query, limit=page_size, offset=offset)
            yield from page["items"]
            offset += len(page["items"])
            has_more = bool(page["items"]) and offset < page["total"]

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Json | None = None,
        body: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> Json:
        try:
            response = self._session.request(
                method,
                f"{self._url}/api/projects{path}",
                params=query,
                json=body,
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except requests.exceptions.SSLError as error:
            raise InvalidInputError(
                f"The TLS connection to {self._url} failed: {describe_failure(error)}. "
                "If the API serves plain HTTP, use http:// in the URL."
            ) from None
        except UnicodeError:
            raise InvalidInputError("An argument is not valid text. Pass arguments as UTF-8.") from None
        except requests.exceptions.InvalidURL:
            raise InvalidInputError(_INVALID_URL.format(self._url)) from None
        except requests.RequestException as error:
            raise UnavailableError(
                f"{self._url} does not respond: {describe_failure(error)}. Check the URL, and that the API is running."
            ) from None
        is_retry = bool(response.raw.retries and response.raw.retries.history)
        if method == "DELETE" and response.status_code == HTTPStatus.NOT_FOUND and is_retry:
            return {"ok": True}  # an earlier attempt deleted the resource, and its response was lost
        try:
            content = response.json()
        except ValueError:
            content = None
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES or not isinstance(content, dict):
            raise self._create_error(response.status_code, content)
        return content

    def _create_error(self, status: int, content: Any) -> CommandError:
        """Return the error for a response. API Gateway sends ``message``, and the API's functions send ``detail``."""
        detail = content.get("detail") if isinstance(content, dict) else None
        if status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.FORBIDDEN and not detail):
            return NotAuthenticatedError(
                "The API rejects this key: it is wrong, expired or revoked. "
                "Check PROJECTS_API_KEY, or ask an operator for a new key."
            )
        if status in RETRYABLE_STATUSES:
            return UnavailableError(f"The API keeps returning status {status}. {_format_detail(detail)}".strip())
        if detail and status in _ERRORS_BY_STATUS:
            return _ERRORS_BY_STATUS[status](_format_detail(detail))
        return InvalidInputError(
            f"{self._url} returned status {status}, which is not a response of the Projects API. "
            "Check PROJECTS_API_URL."
        )


def _normalize(name: str) -> str:
    """Return a name as the API stores it: trimmed and in NFC."""
    return unicodedata.normalize("NFC", name).strip()


def is_id(text: str) -> bool:
    """Return whether ``text`` is a UUID, as all ids of the API are."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def describe_failure(error: BaseException) -> str:
    """Return why a request got no response, in the operating system's words if it reports a reason."""
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, requests.Timeout | TimeoutError):
            return "the request timed out"
        if isinstance(current, OSError) and current.strerror:
            return current.strerror.lower()
        inner = getattr(current, "reason", None) or next(
            (arg for arg in current.args if isinstance(arg, Exception)), None
        )
        current = inner if isinstance(inner, BaseException) else current.__cause__ or current.__context__
    return "the connection was lost"


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # invalid host or port
        return False


def _format_detail(detail: Any) -> str:
    """Return the API's ``detail`` as text; each validation error starts with the name of its field."""
    if not isinstance(detail, list):
        text = str(detail or "")
        for route_hint, command_hint in _COMMAND_HINTS.items():
            text = text.replace(route_hint, command_hint)
        return text
    return " ".join(f"{_field_prefix(error)}{error['msg']}".rstrip(".") + "." for error in detail)


def _field_prefix(error: Json) -> str:
    """Return the field of a validation error with a colon, or nothing if its message names the field."""
    field = ".".join(str(part) for part in error["loc"][1:])
    return "" if not field or f"'{field}'" in error["msg"] else f"{field}: "
