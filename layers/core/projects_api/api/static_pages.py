"""What is answered as it was written: the document and the page that shows it."""

import base64
import gzip
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from typing import Any

#: Text of this size shrinks to a quarter at this level; higher ones take twice as long for a twentieth less.
LEVEL = 4

#: What a browser may keep, and for how many seconds it need not ask again.
CACHING = "public, max-age=300"


class StaticPage:
    """A text that is the same for everybody.

    API Gateway does not compress what an HTTP API answers, so it is done here, once for each environment.
    """

    def __init__(self, text: str, content_type: str, **headers: str) -> None:
        self._body = text.encode()
        self._headers = {
            "Content-Type": content_type,
            "Cache-Control": CACHING,
            "ETag": f'"{sha256(self._body).hexdigest()[:32]}"',
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        } | {name.replace("_", "-"): value for name, value in headers.items()}

    @cached_property
    def _compressed(self) -> str:
        return base64.b64encode(gzip.compress(self._body, LEVEL, mtime=0)).decode()

    def respond(self, event: dict[str, Any]) -> dict[str, Any]:
        """Responses a request of an HTTP API in payload format 2.0; with no body to who has the text already."""
        asked = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        if self._headers["ETag"] in asked.get("if-none-match", ""):
            return {"statusCode": HTTPStatus.NOT_MODIFIED, "headers": self._headers, "body": ""}
        if "gzip" not in asked.get("accept-encoding", ""):
            return {"statusCode": HTTPStatus.OK, "headers": self._headers, "body": self._body.decode()}
        return {
            "statusCode": HTTPStatus.OK,
            "headers": self._headers | {"Content-Encoding": "gzip"},
            "body": self._compressed,
            "isBase64Encoded": True,
        }
