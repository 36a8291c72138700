"""Static responses: the OpenAPI document and the page that shows it."""

import base64
import gzip
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from typing import Any

from projects_api.api.content_negotiation import prefers_gzip

#: The gzip level. It compresses these texts to a quarter; higher levels take twice as long to save 5 % more.
COMPRESSION_LEVEL = 4

#: Browsers may reuse a page for 5 minutes before they ask for it again.
CACHE_CONTROL = "public, max-age=300"


class StaticPage:
    """A text that is the same for every client.

    The page is compressed once per execution environment, because HTTP APIs do not compress responses:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-vs-rest.html
    """

    def __init__(self, text: str, content_type: str, **headers: str) -> None:
        """Create a page.

        Args:
            text: The body.
            content_type: The value of the ``Content-Type`` header.
            **headers: More headers. Underscores in their names become hyphens.
        """
        self._body = text.encode()
        self._headers = {
            "Content-Type": content_type,
            "Cache-Control": CACHE_CONTROL,
            "ETag": f'"{sha256(self._body).hexdigest()[:32]}"',
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        } | {name.replace("_", "-"): value for name, value in headers.items()}

    @cached_property
    def _compressed(self) -> str:
        return base64.b64encode(gzip.compress(self._body, COMPRESSION_LEVEL, mtime=0)).decode()

    def respond(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the response to an HTTP API event in payload format 2.0.

        The response is 304 without a body if the client already has the current text.
        """
        request_headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        if self._headers["ETag"] in request_headers.get("if-none-match", ""):
            return {"statusCode": HTTPStatus.NOT_MODIFIED, "headers": self._headers, "body": ""}
        if not prefers_gzip(request_headers.get("accept-encoding", "")):
            return {"statusCode": HTTPStatus.OK, "headers": self._headers, "body": self._body.decode()}
        return {
            "statusCode": HTTPStatus.OK,
            "headers": self._headers | {"Content-Encoding": "gzip"},
            "body": self._compressed,
            "isBase64Encoded": True,
        }
