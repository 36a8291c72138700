"""The Projects API over HTTP: requests that are tried again, and answers that become data or failures."""

from collections.abc import Iterator
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final
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

type Json = dict[str, Any]

USER_AGENT = f"projects-client/{version('projects-client')}"

#: How long to wait for a connection, and for an answer, in seconds: a function may take 29.
TIMEOUT = (5, 35)

#: Statuses that may be another one in a moment.
TRY_AGAIN: Final = frozenset({429, 500, 502, 503, 504})

#: The most that one page holds: of projects, of members, of events, of exports.
PROJECTS_PAGE, MEMBERS_PAGE, EVENTS_PAGE, EXPORTS_PAGE = 500, 100, 1000, 100


class _Patience(Retry):
    """Passes over a ``Retry-After`` that is neither seconds nor a date (RFC 9110, 10.2.3)."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except InvalidHeader:
            return None


#: Every request may be repeated: the API's writes are idempotent, and ``create`` sends an Idempotency-Key.
RETRY: Final = _Patience(
    total=4,
    connect=2,
    read=2,
    other=0,  # TLS, which fails for ever where it fails
    backoff_factor=0.5,
    backoff_jitter=0.25,
    backoff_max=8,
    status_forcelist=TRY_AGAIN,
    allowed_methods=None,
    raise_on_status=False,
    retry_after_max=30,
)

_BAD_URL = "'{}' is not the URL of an API: give one as https://host or http://host:port."

#: What the API says of its routes, and what to say of them here.
_HINTS = {
    "GET /api/projects lists yours.": "`projects list` shows yours.",
    "GET …/members lists its members.": "`projects members list` shows its members.",
    "POST …/exports starts a new one.": "`projects export` makes a new one.",
}

_FAILURES: dict[int, type[CommandError]] = {
    HTTPStatus.BAD_REQUEST: InvalidInputError,
    HTTPStatus.FORBIDDEN: NotAllowedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidInputError,
}


class _Bearer(AuthBase):
    """Sends the API key; as ``auth``, because a ``.netrc`` would take the place of a mere header."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


class Api:
    """The API, as somebody with a key.

    Every method raises a ``CommandError`` when the API does not do what was asked.
    """

    def __init__(self, url: str, key: str) -> None:
        if not _is_url(url):
            raise InvalidInputError(_BAD_URL.format(url))
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = _Bearer(key)
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=RETRY))

    def get(self, path: str, **query: Any) -> Json:
        return self._ask("GET", path, query=query)

    def post(self, path: str, body: Json | None = None, *, headers: dict[str, str] | None = None) -> Json:
        return self._ask("POST", path, body=body, headers=headers)

    def put(self, path: str, body: Json) -> Json:
        return self._ask("PUT", path, body=body)

    def delete(self, path: str) -> Json:
        return self._ask("DELETE", path)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Json | None = None,
        body: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> Json:
        try:
            answer = self._session.request(
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
                f"{self._url} can't be asked over TLS: {reason(error)}. If it serves plain HTTP, give http://."
            ) from None
        except UnicodeError:
            raise InvalidInputError("An argument is no text: give it in UTF-8.") from None
        except requests.exceptions.InvalidURL:
            raise InvalidInputError(_BAD_URL.format(self._url)) from None
        except requests.RequestException as error:
            raise UnavailableError(
                f"{self._url} does not answer: {reason(error)}. Is the URL right, and the API up?"
            ) from None
        repeated = bool(answer.raw.retries and answer.raw.retries.history)
        if method == "DELETE" and answer.status_code == HTTPStatus.NOT_FOUND and repeated:
            return {"ok": True}  # what was tried first has done it, and its answer was lost
        try:
            content = answer.json()
        except ValueError:
            content = None
        if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES or not isinstance(content, dict):
            raise self._failure(answer.status_code, content)
        return content

    def _failure(self, status: int, content: Any) -> CommandError:
        """What a refusal means. The gateway says ``message`` where the API's functions say ``detail``."""
        detail = content.get("detail") if isinstance(content, dict) else None
        if status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.FORBIDDEN and not detail):
            return NotAuthenticatedError(
                "The API does not take this key: it is wrong, expired or revoked. "
                "Check PROJECTS_API_KEY, or ask an operator for a new key."
            )
        if status in TRY_AGAIN:
            return UnavailableError(f"The API answered {status}, again and again. {_sentence(detail)}".strip())
        if detail and status in _FAILURES:
            return _FAILURES[status](_sentence(detail))
        return InvalidInputError(
            f"{self._url} answered {status}, not as the Projects API does. Check PROJECTS_API_URL."
        )

    # ------------------------------------------------------------------ what more than one command asks

    def project(self, id_or_name: str) -> Json:
        """The project with an id, or else the only one with a name; names compare without regard to case.

        Raises:
            NotFoundError: There is none for the caller.
            ConflictError: There are several; the text lists their ids.
            NotAllowedError: The API key may not read.
        """
        if is_id(id_or_name):
            found: Json = self.get(f"/{id_or_name}")["project"]
            return found
        wanted = id_or_name.strip()
        try:
            similar = list(self.projects(search=wanted))
        except NotAllowedError as error:
            raise NotAllowedError(f"{error} Or give the project's id: a name has to be looked up.") from None
        named = [project for project in similar if project["name"].casefold() == wanted.casefold()]
        same = [project for project in named if project["name"] == wanted] or named
        match same:
            case [project]:
                return project
            case []:
                hint = ", ".join(f"'{project['name']}'" for project in similar[:3])
                raise NotFoundError(
                    f"You have no project named '{wanted}'. "
                    + (f"Did you mean {hint}?" if hint else "`projects list` shows those you have.")
                )
        ids = ", ".join(project["id"] for project in same)
        raise ConflictError(f"You have {len(same)} projects named '{wanted}': give the id of one of them ({ids}).")

    def export(self, project_id: str, export_id: str) -> Json:
        """An export of a project, as the API answers it.

        Raises:
            InvalidInputError: ``export_id`` is none.
            NotFoundError: There is no such export.
        """
        if not is_id(export_id):
            raise InvalidInputError(f"'{export_id}' is no export's id. `projects exports list` shows them.")
        return self.get(f"/{project_id}/exports/{export_id}")

    def project_id(self, id_or_name: str) -> str:
        """The id alone, which asks the API only where a name is given."""
        return id_or_name if is_id(id_or_name) else str(self.project(id_or_name)["id"])

    def projects(self, **query: Any) -> Iterator[Json]:
        """All projects that match, page by page."""
        yield from self._by_offset("", PROJECTS_PAGE, query)

    def members(self, project_id: str) -> Iterator[Json]:
        """All members of a project, the owner first."""
        yield from self._by_offset(f"/{project_id}/members", MEMBERS_PAGE, {})

    def _by_offset(self, path: str, limit: int, query: Json) -> Iterator[Json]:
        offset, more = 0, True
        while more:
            page = self.get(path, **query, limit=limit, offset=offset)
            yield from page["items"]
            offset += len(page["items"])
            more = bool(page["items"]) and offset < page["total"]

    def by_cursor(self, path: str, items: str, *, limit: int | None, most: int, **query: Any) -> Json:
        """All that a list with cursors holds, or the first ``limit``, as one page; ``most`` is what one may hold."""
        found: list[Json] = []
        cursor = None
        while True:
            wanted = most if limit is None else min(limit - len(found), most)
            page = self.get(path, **query, limit=wanted, cursor=cursor)
            found += page[items]
            cursor = page["next_cursor"]
            if cursor is None or len(found) == limit:
                return page | {items: found}


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a host or a port that is none
        return False


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def reason(error: BaseException) -> str:
    """Why a request got no answer, in the words of the operating system where it has any."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, requests.Timeout | TimeoutError):
            return "it took too long"
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror.lower()
        inner = getattr(seen, "reason", None) or next((one for one in seen.args if isinstance(one, Exception)), None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__ or seen.__context__
    return "the connection broke"


def _sentence(detail: Any) -> str:
    """The API's ``detail`` as one text; of input that does not validate, each part with its place."""
    if not isinstance(detail, list):
        text = str(detail or "")
        for of_routes, of_commands in _HINTS.items():
            text = text.replace(of_routes, of_commands)
        return text
    return " ".join(f"{_place(one)}{one['msg']}".rstrip(".") + "." for one in detail)


def _place(error: Json) -> str:
    """Where an error is, unless its message names that already."""
    where = ".".join(str(part) for part in error["loc"][1:])
    return "" if not where or f"'{where}'" in error["msg"] else f"{where}: "
