"""HTTP client of the Projects API, with retries, and errors by their meaning."""

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import InvalidHeader
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

from projects_client.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    ProjectsClientError,
    UnavailableError,
)
from projects_client.hints import name_methods

Json: TypeAlias = dict[str, Any]

VERSION = version("projects-client")
USER_AGENT = f"projects-client/{VERSION}"

#: Timeouts for connecting and for the response, in seconds. The API's functions time out after 29 seconds.
TIMEOUT = (5, 35)

#: Statuses of failures that a retry may resolve.
RETRYABLE_STATUSES: Final = frozenset({429, 500, 502, 503, 504})

#: Variables that name a bundle of CA certificates, in the order in which requests reads them.
CA_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class _LenientRetry(Retry):
    """Retry policy that ignores a ``Retry-After`` header that is neither seconds nor a date (RFC 9110, 10.2.3)."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except InvalidHeader:
            return None


#: Retries every method: the API's writes are idempotent, and requests that create something send an Idempotency-Key.
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

_INVALID_URL = "'{}' is not a valid API URL. Use https://host or http://host:port."

#: Words of OpenSSL's errors for a response that is not TLS.
_PLAIN_HTTP = re.compile(
    r"wrong.version.number|packet.length.too.long|record.layer.failure|unknown.protocol", re.IGNORECASE
)

_ERRORS_BY_STATUS: dict[int, type[ProjectsClientError]] = {
    HTTPStatus.BAD_REQUEST: InvalidInputError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
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


@dataclass(frozen=True)
class ApiResponse:
    """Successful response of the API.

    Attributes:
        status: The status.
        headers: The headers, whose names ignore case.
        content: The JSON of the body.
    """

    status: int
    headers: Mapping[str, str]
    content: Json


class ApiClient:
    """HTTP client of the Projects API with one API key.

    Every method that sends a request raises a ``ProjectsClientError`` when the request fails.

    Args:
        url: Base URL of the API, such as ``https://host`` or ``http://host:port``.
        key: API key.

    Attributes:
        url: Base URL of the API, without a slash at its end.

    Raises:
        InvalidInputError: ``url`` is not an HTTP URL.
    """

    def __init__(self, url: str, key: str) -> None:
        _check_url(url)
        self.url = normalize_url(url)
        self._session = requests.Session()
        self._session.auth = _BearerAuth(key)
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=RETRY_POLICY))

    def get(self, path: str, **query: Any) -> Json:
        """Send a GET request and return the JSON of the response; query parameters that are None are left out."""
        return self.send("GET", path, query=query).content

    def post(self, path: str, body: Json | None = None, *, idempotency_key: str | None = None) -> Json:
        """Send a POST request and return the JSON of the response."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        return self.send("POST", path, body=body, headers=headers).content

    def put(self, path: str, body: Json, *, idempotency_key: str | None = None) -> Json:
        """Send a PUT request and return the JSON of the response."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        return self.send("PUT", path, body=body, headers=headers).content

    def delete(self, path: str) -> Json:
        """Send a DELETE request and return the JSON of the response."""
        return self.send("DELETE", path).content

    def iterate_offset_pages(self, path: str, page_size: int, **query: Any) -> Iterator[Json]:
        """Yield the pages of a list with offsets."""
        offset, has_more = 0, True
        while has_more:
            page = self.get(path, **query, limit=page_size, offset=offset)
            yield page
            offset += len(page["items"])
            has_more = bool(page["items"]) and offset < page["total"]

    def iterate_cursor_pages(
        self, path: str, page_size: int, *, items: str = "items", limit: int | None = None, **query: Any
    ) -> Iterator[Json]:
        """Yield the pages of a list with cursors.

        Args:
            path: Path of the list.
            page_size: Maximum number of entries of one request.
            items: Name of the field that holds the entries of a page.
            limit: Maximum number of entries of all pages; None reads the whole list.
            query: Further query parameters.
        """
        cursor, count = None, 0
        while True:
            page_limit = page_size if limit is None else min(limit - count, page_size)
            page = self.get(path, **query, limit=page_limit, cursor=cursor)
            yield page
            cursor, count = page.get("next_cursor"), count + len(page[items])
            if cursor is None or (limit is not None and count >= limit):
                return

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Json | None = None,
        body: Json | None = None,
        headers: dict[str, str] | None = None,
    ) -> ApiResponse:
        """Send a request, retry failures that a retry may resolve, and return the response.

        Args:
            method: The HTTP method.
            path: Path of the request, which starts with ``/api/``.
            query: Query parameters; those that are None are left out.
            body: Body, sent as JSON.
            headers: Further headers.
        """
        try:
            response = self._session.request(
                method,
                f"{self.url}{path}",
                params=query,
                json=body,
                headers=headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except UnicodeError:
            raise InvalidInputError("An argument is not valid text. Pass arguments as UTF-8.") from None
        except OSError as error:  # the base class of the errors of requests, too
            raise _translate_connection_error(error, self.url) from None
        is_retry = bool(response.raw.retries and response.raw.retries.history)
        if method == "DELETE" and response.status_code == HTTPStatus.NOT_FOUND and is_retry:
            # an earlier attempt deleted the object, and its response was lost
            return ApiResponse(HTTPStatus.OK, response.headers, {"ok": True})
        try:
            content = response.json()
        except ValueError:
            content = None
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES or not isinstance(content, dict):
            route = f"{method} {path}"
            failure = self._create_error(response.status_code, content, route)
            failure.status, failure.route, failure.body = response.status_code, route, content
            raise failure
        return ApiResponse(response.status_code, response.headers, content)

    def _create_error(self, status: int, content: Any, route: str) -> ProjectsClientError:
        """Return the error for a response. API Gateway sends ``message``, and the API's functions send ``detail``."""
        is_json = isinstance(content, dict)
        detail = content.get("detail") if is_json else None
        if is_json and (status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.FORBIDDEN and not detail)):
            return NotAuthenticatedError(
                "The API rejects this key: it is wrong, expired or revoked. "
                "Check the argument, the profile or PROJECTS_API_KEY that has it, or ask an operator for a new key."
            )
        if status in RETRYABLE_STATUSES:
            return UnavailableError(f"The API keeps returning status {status}. {_format_detail(detail)}".strip())
        if detail and status in _ERRORS_BY_STATUS:
            kind, message = _ERRORS_BY_STATUS[status], name_methods(_format_detail(detail), status, route)
            return InvalidInputError(message, _list_fields(detail)) if kind is InvalidInputError else kind(message)
        proxy = find_proxy(self.url)
        if proxy and status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return NotAuthenticatedError(f"The proxy {proxy} wants a user and a password. {_PROXY_ADVICE}")
        sender = f"{self.url}, or the proxy {proxy}," if proxy else self.url
        return InvalidInputError(
            f"{sender} returned status {status}, which is not a response of the Projects API. "
            f"Check the URL{' and the proxy' if proxy else ''}."
        )


_PROXY_ADVICE = "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY."


def parse_id(text: object) -> str | None:
    """Return a UUID, as all ids of the API are, in its usual form, or None if ``text`` is not one."""
    try:
        return str(UUID(str(text)))
    except ValueError:
        return None


def normalize_url(url: str) -> str:
    """Return the base URL for the URL of a deployment, which may end with the path of its list or of its docs page."""
    return re.sub(r"/api(?:/(?:projects|docs|openapi\.json))?$", "", url.strip().rstrip("/")).rstrip("/")


def find_proxy(url: str) -> str | None:
    """Return host and port of the proxy that the environment sets for a URL, without its password, or None."""
    proxy = select_proxy(url, get_environ_proxies(url))
    return (re.sub(r"^\w+://", "", proxy).rpartition("@")[2].rstrip("/") or proxy) if proxy else None


def describe_failure(error: BaseException, url: str = "") -> str:
    """Return why a request got no response, in the operating system's words if it reports a reason."""
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy {find_proxy(url) or ''} failed ({_find_reason(error)})"
    return _find_reason(error)


def _find_reason(error: BaseException) -> str:
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, requests.Timeout | TimeoutError):
            return "the request timed out"
        if isinstance(current, OSError) and current.strerror:
            return current.strerror.lower()
        if type(current) is OSError and current.args:  # http.client's error for a tunnel
            return str(current).lower()
        inner = getattr(current, "reason", None) or next(
            (arg for arg in current.args if isinstance(arg, Exception)), None
        )
        current = inner if isinstance(inner, BaseException) else current.__cause__ or current.__context__
    return "the connection was lost"


def _translate_connection_error(error: OSError, url: str) -> ProjectsClientError:
    """Return the error for a request without a response, which blames the URL, the proxy or the CA bundle."""
    proxy = find_proxy(url)
    is_invalid_url = isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema)
    if isinstance(error, requests.exceptions.ProxyError):
        return UnavailableError(f"The proxy {proxy} does not connect to {url}: {_find_reason(error)}. {_PROXY_ADVICE}")
    if is_invalid_url:
        message = f"'{proxy}' is not a valid proxy. {_PROXY_ADVICE}" if proxy else _INVALID_URL.format(url)
        return InvalidInputError(message)
    bundle_variable = next((name for name in CA_BUNDLE_VARIABLES if os.environ.get(name)), None)
    if isinstance(error, requests.exceptions.SSLError):
        return _translate_tls_error(error, url, bundle_variable)
    if bundle_variable and not isinstance(error, requests.RequestException):
        return InvalidInputError(
            f"The CA bundle {os.environ[bundle_variable]} can't be read. Check {bundle_variable}, or unset it."
        )
    if proxy:  # for example one of SOCKS, whose failures are no ProxyError
        return UnavailableError(
            f"{url} does not respond through the proxy {proxy}: {_find_reason(error)}. {_PROXY_ADVICE}"
        )
    return UnavailableError(
        f"{url} does not respond: {_find_reason(error)}. Check the URL, and that the API is running."
    )


def _translate_tls_error(error: OSError, url: str, bundle_variable: str | None) -> ProjectsClientError:
    text = str(error)
    if _PLAIN_HTTP.search(text):
        return InvalidInputError(
            f"The TLS connection to {url} failed: {_find_reason(error)}. "
            "If the API serves plain HTTP, use http:// in the URL."
        )
    if bundle_variable:
        return InvalidInputError(
            f"The TLS connection to {url} failed: {_find_tls_reason(error)}. "
            f"Check the CA bundle {os.environ[bundle_variable]}, which {bundle_variable} sets, or unset it."
        )
    return InvalidInputError(
        f"The TLS connection to {url} failed: {_find_tls_reason(error)}. If your network or the API "
        "uses certificates of its own, set REQUESTS_CA_BUNDLE to a file with their CA."
    )


def _find_tls_reason(error: BaseException) -> str:
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, ssl.SSLCertVerificationError):
            return current.verify_message
        inner = getattr(current, "reason", None) or next(
            (arg for arg in current.args if isinstance(arg, Exception)), None
        )
        current = inner if isinstance(inner, BaseException) else None
    return _find_reason(error)


def _check_url(url: str) -> None:
    """Reject what is no URL of an API, without a word of what may be a secret."""
    if url.strip().startswith("prj_"):
        raise InvalidInputError("An API key is in the place of the API's URL. Give the URL first, then the key.")
    if "@" in url:
        raise InvalidInputError("The API's URL contains a user or a password. Leave them out: the API takes a key.")
    if not _is_http_url(url):
        raise InvalidInputError(_INVALID_URL.format(url))


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # invalid host or port
        return False


def _format_detail(detail: Any) -> str:
    """Return the API's ``detail`` as text; each validation error starts with the name of its field."""
    if not isinstance(detail, list):
        return str(detail or "")
    return " ".join(f"{_field_prefix(error)}{error['msg']}".rstrip(".") + "." for error in detail)


def _list_fields(detail: Any) -> dict[str, str]:
    return {_name_field(error): str(error["msg"]) for error in detail} if isinstance(detail, list) else {}


def _name_field(error: Json) -> str:
    return ".".join(str(part) for part in error["loc"][1:])


def _field_prefix(error: Json) -> str:
    """Return the field of a validation error with a colon, or nothing if its message names the field."""
    field = _name_field(error)
    return "" if not field or f"'{field}'" in error["msg"] else f"{field}: "
