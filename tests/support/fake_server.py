"""HTTP server of the fake API, and of the storage of its archive."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.fake_api import FakeService, Request


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "FakeServer"

    def setup(self) -> None:
        self.service = self.server.service
        self.service.connection_count += 1
        super().setup()

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_part = parts.path == "/part"
        content_json = body if is_part else json.loads(body) if body else None
        request = Request(self.command, parts.path, query, dict(self.headers), content_json)
        if is_part:
            part_status, part_headers = self.service.store_part(request)
            self._send(part_status, b"", part_headers)
            return
        if parts.path == "/archive":
            self._respond_as_storage(request)
            return
        status, content, headers = self.service.respond(request)
        self._send(status, content if isinstance(content, bytes) else json.dumps(content).encode(), headers)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - http.server calls these names

    def _respond_as_storage(self, request: Request) -> None:
        service = self.service
        service.downloads.append(request)
        if service.storage_errors:
            status, headers = service.storage_errors.popleft()
            self._send(status, b"<Error/>", headers)
        elif service.oldest_signature and int(request.query["signature"]) < service.oldest_signature:
            self._send(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", {})
        elif request.headers.get("If-Match", service.etag) != service.etag:
            self._send(412, b"<Error/>", {})
        else:
            self._send_archive(request.headers.get("Range"))

    def _send_archive(self, byte_range: str | None) -> None:
        service, size = self.service, len(self.service.data)
        is_range = bool(byte_range and service.supports_range)
        first, _, last = (byte_range or "").removeprefix("bytes=").partition("-")
        start = int(first) if is_range else 0
        stop = int(last) + 1 if is_range and last else size
        if is_range and service.max_range:
            stop = min(stop, start + service.max_range)
        if service.page and start >= service.page[0]:
            self._send(200, service.page[1], {"Content-Type": "text/html"})
            return
        body = service.data[start:stop]
        headers = {"ETag": service.etag}
        if is_range:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{'*' if service.max_range else size}"
        break_offset = service.break_offsets.popleft() if service.break_offsets else None
        if service.page and break_offset is None and stop > service.page[0] > start:
            break_offset = service.page[0] - start
        self._send_head(206 if is_range else 200, len(body), headers)
        self.wfile.write(body if break_offset is None else body[:break_offset])
        if break_offset is not None:
            self.wfile.flush()
            if service.stalls:
                service.resumed.wait(20)
            self.close_connection = True

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._send_head(status, len(body), headers)
        self.wfile.write(body)

    def _send_head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class FakeServer(ThreadingHTTPServer):
    """Server on a free port. Each connection stays with the service that was served when it was opened."""

    daemon_threads = True
    service: FakeService

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def serve(self, service: FakeService) -> None:
        """Serve a service from now on, and set its URL."""
        self.service = service
        service.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report nothing about clients that close their connection early, as killed ones do."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
