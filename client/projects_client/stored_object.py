"""Object in the storage, read by ranges through signed URLs.

A read survives lost connections, expired URLs, and responses of something else than the storage, such as the login page
of a network. ``If-Match`` ties all requests to the same object.
"""

import re
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

import requests

from projects_client.api import RETRY_POLICY, RETRYABLE_STATUSES, USER_AGENT, describe_failure
from projects_client.errors import UnavailableError

#: Bytes passed on in one call.
CHUNK_SIZE = 1 << 18

#: Timeouts for connecting and for each read, in seconds.
TIMEOUT = (5, 30)

#: Failures in a row, without a byte in between, that end a read.
MAX_FAILURES = 5

#: First and longest pause between two attempts, in seconds.
FIRST_BACKOFF, MAX_BACKOFF = 0.5, 8.0

#: RFC 9110, section 14.4. Proxies replace a size that they don't know by ``*``.
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)", re.IGNORECASE)


class ObjectChangedError(Exception):
    """Object that differs from the one that was read first."""


class _TransferError(Exception):
    """Failure of the connection or the storage, after which the same URL may still work.

    Attributes:
        retry_after: Seconds that the storage wants clients to wait.
    """

    retry_after: float | None = None


class _UrlRejectedError(Exception):
    """Response of the storage to a URL that is no longer valid, most likely because it has expired."""


def create_storage_session() -> requests.Session:
    """Return a session for signed URLs, which sends no credentials of its own."""
    session = requests.Session()
    session.auth = lambda request: request  # without credentials from .netrc: the URL is signed
    session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
    return session


class StoredObject:
    """Object in the storage.

    Args:
        size: Size of the object in bytes.
        sign_url: Returns a new signed URL. Its errors end a read.
        etag: ETag of the object if it is known; otherwise the first response gives it.

    Attributes:
        size: Size of the object in bytes.
        etag: ETag of the object, or None before the first response.
        request_count: Number of requests to the storage.
    """

    def __init__(self, size: int, sign_url: Callable[[], str], *, etag: str | None = None) -> None:
        self.size, self.etag = size, etag
        self.request_count = 0
        self._sign_url, self._url = sign_url, ""
        self._session = create_storage_session()

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to before ``stop``."""
        content = bytearray()
        self.fetch(start, stop, content.extend)
        return bytes(content)

    def fetch(self, start: int, stop: int, write: Callable[[bytes], Any]) -> None:
        """Pass the bytes from ``start`` to before ``stop`` to a function, in order and each once.

        Args:
            start: Offset of the first byte.
            stop: Offset after the last byte.
            write: Called with each chunk. Its errors end the read.

        Raises:
            ObjectChangedError: The object is no longer the one that was read first.
            UnavailableError: The read failed ``MAX_FAILURES`` times in a row.
        """
        position, failures = start, 0
        while position < stop:
            if failures > 1:
                time.sleep(min(FIRST_BACKOFF * 2 ** (failures - 2), MAX_BACKOFF))
            before = position
            try:
                self._url = self._url or self._sign_url()
                for chunk in self._stream(position, stop):
                    write(chunk)
                    position += len(chunk)
                cause = "the connection was lost"
            except _UrlRejectedError as error:
                self._url, cause = "", str(error)
            except _TransferError as error:
                cause = str(error)
                if position < stop:
                    time.sleep(error.retry_after or 0)
            failures = 1 if position > before else failures + 1
            if failures == MAX_FAILURES:
                raise UnavailableError(
                    f"The download failed {MAX_FAILURES} times in a row: {cause}. Call it again to resume."
                )

    def _stream(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of one response, checked to be of the object before the first one is passed on."""
        headers = {}
        if start or stop < self.size:
            headers["Range"] = f"bytes={start}-" if stop == self.size else f"bytes={start}-{stop - 1}"
            if self.etag:
                headers["If-Match"] = self.etag
        self.request_count += 1
        try:
            with self._session.get(self._url, headers=headers, stream=True, timeout=TIMEOUT) as response:
                skipped = self._check_response(response, start)
                remaining = stop - start
                for chunk in response.iter_content(CHUNK_SIZE):
                    wanted = chunk[skipped:][:remaining]
                    skipped = max(0, skipped - len(chunk))
                    if wanted:
                        remaining -= len(wanted)
                        yield wanted
                    if not remaining:
                        return
        except requests.RequestException as error:
            raise _TransferError(describe_failure(error, self._url)) from None

    def _check_response(self, response: requests.Response, start: int) -> int:
        """Accept only a response of the storage; return the number of bytes before ``start`` in its body.

        A part of the requested range is accepted (RFC 9110, section 15.3.7): the next request asks for the rest.
        """
        first, status, etag = 0, response.status_code, response.headers.get("ETag", "")
        if status in {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            raise ObjectChangedError
        if status in RETRYABLE_STATUSES:
            failure = _TransferError(f"the storage returned status {status}")
            failure.retry_after = RETRY_POLICY.get_retry_after(response.raw)
            raise failure
        if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            raise _UrlRejectedError(f"the storage returned status {status}")
        if status == HTTPStatus.PARTIAL_CONTENT:
            match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if match is None:
                raise _TransferError("the storage sent a different range than requested")
            first, last = int(match[1]), int(match[2])
            if match[3] not in {"*", str(self.size)} and etag:
                raise ObjectChangedError
            if not first <= start <= last:
                raise _TransferError("the storage sent a different range than requested")
        elif not etag or response.headers.get("Content-Length") != str(self.size):
            kind = response.headers.get("Content-Type", "").partition(";")[0] or "unknown content"
            raise _TransferError(
                f"something else than the storage responded, with {kind} instead of the archive. "
                "A network that needs a login does this"
            )
        if self.etag and etag != self.etag:
            raise ObjectChangedError
        self.etag = etag or self.etag
        return start - first
