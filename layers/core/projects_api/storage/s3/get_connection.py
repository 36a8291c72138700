"""HTTP/1.1 connections to S3 for GET requests, with half the CPU time of ``http.client``.

``http.client`` parses the headers of each response as those of an email, and makes a new reader for each response. A
connection of this module splits lines and keeps its reader. ``http.client`` still opens the connection.
"""

import http.client
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from projects_api.storage import clients

if TYPE_CHECKING:
    from io import BufferedReader

#: Size of the buffer of a connection, in bytes. A small object and its headers fit, which saves system calls.
BUFFER_SIZE = 64 << 10

#: Longest line of a response, in bytes, as in ``http.client``.
MAX_LINE = 1 << 16


class GetResponse(NamedTuple):
    """A response to a GET request.

    Attributes:
        status_code: The status code.
        headers: The header ``Content-Length``, if the response has it. Nobody reads any other header.
        content: The body, complete.
        is_last: Whether the server closes the connection after this response.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    is_last: bool


class _PlainConnection(http.client.HTTPConnection):
    """A connection with the timeouts of the S3 client."""

    def connect(self) -> None:
        config: Any = clients.s3().meta.config  # the stubs do not declare the timeouts
        self.timeout = config.connect_timeout
        super().connect()
        self.sock.settimeout(config.read_timeout)


class _TlsConnection(http.client.HTTPSConnection, _PlainConnection):
    """A connection over TLS."""


class GetConnection:
    """An open connection for GET requests, one at a time.

    Args:
        scheme: ``http`` or ``https``.
        netloc: The host of the server, with the port if it is not that of the scheme.

    Raises:
        OSError: The server does not respond, or its certificate is not valid.
    """

    def __init__(self, scheme: str, netloc: str) -> None:
        is_tls = scheme == "https"
        self._connection = _TlsConnection(netloc, context=clients.ssl_context()) if is_tls else _PlainConnection(netloc)
        self._connection.connect()
        self._reader = cast("BufferedReader", self._connection.sock.makefile("rb", BUFFER_SIZE))

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()
        self._connection.close()

    def get(self, path: str, headers: Mapping[str, str]) -> GetResponse:
        """Send a request and return the response.

        Args:
            path: The path, encoded, with the query if there is one.
            headers: The headers, among them ``host``.

        Raises:
            http.client.HTTPException: The server closed the connection early, or the response is not HTTP.
            OSError: The server does not respond.
        """
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"GET {path} HTTP/1.1\r\n{lines}accept-encoding: identity\r\n\r\n"
        self._connection.sock.sendall(request.encode("latin-1"))
        try:
            return self._read_response()
        except ValueError as error:  # text in the place of a number
            raise http.client.HTTPException(str(error)) from error

    def _read_response(self) -> GetResponse:
        line = self._read_line()
        version, _, status = line.partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise http.client.BadStatusLine(line.decode("latin-1"))
        length, is_chunked, is_last = None, False, version == b"HTTP/1.0"
        while line := self._read_line():
            name, _, value = line.partition(b":")
            match name.lower():
                case b"content-length":
                    length = int(value)
                case b"transfer-encoding":
                    is_chunked = value.strip().lower() == b"chunked"
                case b"connection":
                    is_last = value.strip().lower() == b"close"
        if is_chunked:
            content = self._read_chunks()
        elif length is not None:
            content = self._read(length)
        else:
            content, is_last = self._reader.read(), True
        headers = {} if length is None or is_chunked else {"Content-Length": str(length)}
        return GetResponse(int(status[:3]), headers, content, is_last)

    def _read_line(self) -> bytes:
        """Return a line without its end."""
        line = self._reader.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            raise http.client.IncompleteRead(line)
        return line.rstrip(b"\r\n")

    def _read(self, size: int) -> bytes:
        content = self._reader.read(size)
        if len(content) < size:
            raise http.client.IncompleteRead(content, size - len(content))
        return content

    def _read_chunks(self) -> bytes:
        """Return a body in chunks (RFC 9112, section 7.1), as S3 sends errors."""
        chunks = []
        while size := int(self._read_line().partition(b";")[0], 16):
            chunks.append(self._read(size))
            self._read_line()
        while self._read_line():
            pass  # a trailer field
        return b"".join(chunks)
