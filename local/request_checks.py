"""Checks of requests that AWS makes and moto does not: one kind of signature, and web pages of other origins.

It also makes moto store the bytes of every object, even if the client declares them as a form.

moto's server allows every web page to call it, and it verifies no signature. Without these checks any page that is
open in a browser could read and change the local stack.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

#: The query parameters that contain the signature of a signed URL: of version 4 and of version 2.
SIGNATURE_PARAMETERS = {"X-Amz-Signature", "Signature"}

#: The content types of forms. `curl -X PUT --data-binary` and urllib declare any bytes as a form.
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

TWO_MECHANISMS = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or "
    "the Authorization header should be specified"
)
CORS_DISABLED = "CORSResponse: CORS is not enabled for this bucket."
CORS_REFUSED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request method "
    "/ Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)
UNSIGNED = "Access Denied"

#: Returns the CORS rules of a bucket, or None if the bucket does not exist.
type CorsRules = Callable[[str], list[Any] | None]


class CheckedApplication:
    """A WSGI application that checks each request before it passes it on to another application.

    Args:
        application: The other application.
        cors_rules: Returns the CORS rules of a bucket.
    """

    def __init__(self, application: Any, cors_rules: CorsRules) -> None:
        self._application = application
        self._cors_rules = cors_rules

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Respond to a request."""
        if environ["REQUEST_METHOD"] == "PUT" and environ.get("CONTENT_TYPE", "").startswith(FORM_TYPES):
            environ["CONTENT_TYPE"] = "application/octet-stream"  # moto would parse the bytes of an object as a form
        signed_url = bool(SIGNATURE_PARAMETERS & parse_qs(environ.get("QUERY_STRING", "")).keys())
        has_header = "HTTP_AUTHORIZATION" in environ
        if signed_url and has_header:
            return _reject(start_response, "400 Bad Request", "InvalidArgument", TWO_MECHANISMS)
        origin = environ.get("HTTP_ORIGIN")
        if origin is None:
            return _call(self._application, environ, start_response, {})
        bucket, _, key = unquote(environ.get("PATH_INFO", "")).strip("/").partition("/")
        rules, method = self._cors_rules(bucket), environ["REQUEST_METHOD"]
        if method == "OPTIONS":
            return self._respond_to_preflight(rules or [], origin, environ, start_response)
        rule = _find_rule(rules or [], origin, method, [])
        # nobody verifies a signature, so a URL counts as signed only if it can be one of this service: of an object
        is_signed = signed_url and key and rules is not None and (rule or method in {"GET", "HEAD"})
        if not is_signed and not has_header:
            return _reject(start_response, "403 Forbidden", "AccessDenied", UNSIGNED)
        return _call(self._application, environ, start_response, _cors_headers(rule, origin) if rule else {})

    def _respond_to_preflight(
        self, rules: list[Any], origin: str, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        method = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "")
        requested = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        names = [name.strip().lower() for name in requested.split(",") if name.strip()]
        rule = _find_rule(rules, origin, method, names)
        if not rule:
            message = CORS_REFUSED if rules else CORS_DISABLED
            return _reject(start_response, "403 Forbidden", "AccessForbidden", message)
        allowed_headers = {"Access-Control-Allow-Headers": ", ".join(names)} if names else {}
        start_response("200 OK", list((_cors_headers(rule, origin) | allowed_headers).items()))
        return []


def _find_rule(rules: list[Any], origin: str, method: str, names: list[str]) -> Any | None:
    """Return the first CORS rule that allows a request, as S3 does.

    See https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html.
    """
    for rule in rules:
        if (
            _first_match(rule.allowed_origins, origin)
            and method in rule.allowed_methods
            and all(_first_match(rule.allowed_headers, name) for name in names)
        ):
            return rule
    return None


def _first_match(patterns: list[str] | None, text: str) -> str | None:
    """Return the first of some patterns, in which ``*`` stands for any text, that matches regardless of case."""
    for pattern in patterns or []:
        if re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.IGNORECASE):
            return pattern
    return None


def _cors_headers(rule: Any, origin: str) -> dict[str, str]:
    any_origin = _first_match(rule.allowed_origins, origin) == "*"
    headers = {
        "Access-Control-Allow-Origin": "*" if any_origin else origin,
        "Access-Control-Allow-Methods": ", ".join(rule.allowed_methods),
        "Vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    }
    if not any_origin:
        headers["Access-Control-Allow-Credentials"] = "true"
    if rule.exposed_headers:
        headers["Access-Control-Expose-Headers"] = ", ".join(rule.exposed_headers)
    if rule.max_age_seconds is not None:
        headers["Access-Control-Max-Age"] = str(rule.max_age_seconds)
    return headers


def _call(application: Any, environ: dict[str, Any], start_response: Any, cors: dict[str, str]) -> Iterable[bytes]:
    """Call the other application, and replace the CORS headers of its response."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        kept = [(name, value) for name, value in headers if not name.lower().startswith("access-control-")]
        return start_response(status, [*kept, *cors.items()], *rest)

    response: Iterable[bytes] = application(environ, start)
    return response


def _reject(start_response: Any, status: str, code: str, message: str) -> Iterator[bytes]:
    """Respond with an error of S3. The response does not repeat the request, which may contain an API key."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    ).encode()
    start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return iter([body])
