"""Fake of the API and the storage, with failures on demand that a real stack can't produce at will."""

import io
import json
import threading
import unicodedata
import uuid
import zipfile
import zlib
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

PROJECT_ID = str(uuid.UUID(int=1))
PROJECT = {
    "id": PROJECT_ID, "name": "Card fraud", "description": "", "status": "active", "role": "owner",
    "dataset_count": 1, "experiment_count": 0, "model_count": 0,
    "created_at": "2026-02-10T09:00:00Z", "updated_at": "2026-02-10T09:00:00Z",
}  # fmt: skip


def build_archive(files: dict[str, bytes], **overrides: Any) -> bytes:
    """Return the archive of a project.

    Args:
        files: Content of each file by its path.
        overrides: Wrong values for the manifest's fields, the same for every file.
    """
    entries = [
        {"path": path, "size": len(data), "crc32": f"{zlib.crc32(data):08x}", **overrides}
        for path, data in files.items()
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": "projects-export/1", "files": entries}))
        for path, data in files.items():
            archive.writestr(path, data)
    return buffer.getvalue()


#: Response of the API: status, body, headers.
ApiResponse: TypeAlias = tuple[int, Any, dict[str, str]]


@dataclass
class Request:
    """Request that the fake received."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeService:
    """The API and the storage of its download URLs, on one port.

    Attributes:
        data: Archive in the storage.
        etag: ETag of the archive.
        export_id: Id of the only export.
        export: Fields that replace those of a ready export.
        projects: Projects that the API lists.
        responses: Next responses of the API, which replace the regular ones.
        break_offsets: Number of bytes after which each of the next downloads breaks; None completes the download.
        storage_errors: Status and headers of the storage's next responses.
        oldest_signature: Number of the oldest signed URL that the storage accepts; None accepts every URL.
        supports_range: Whether the storage honours the ``Range`` header.
        signature_count: Number of URLs signed so far; each URL carries its number.
        requests: Requests to the API.
        downloads: Requests to the storage.
        url: Base URL of both.
        stalls: Whether a broken download first waits for ``resumed``, for up to 20 seconds.
        resumed: Ends the wait of a stalled download.
        connection_count: Number of connections that clients have opened.
    """

    data: bytes
    etag: str = '"one"'
    export_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    export: dict[str, Any] = field(default_factory=dict)
    projects: list[dict[str, Any]] = field(default_factory=lambda: [PROJECT])
    responses: deque[ApiResponse] = field(default_factory=deque)
    break_offsets: deque[int | None] = field(default_factory=deque)
    storage_errors: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    oldest_signature: int | None = None
    supports_range: bool = True
    signature_count: int = 0
    requests: list[Request] = field(default_factory=list)
    downloads: list[Request] = field(default_factory=list)
    url: str = ""
    stalls: bool = False
    resumed: threading.Event = field(default_factory=threading.Event)
    connection_count: int = 0

    def respond(self, request: Request) -> ApiResponse:
        """Record a request to the API, and return the response."""
        self.requests.append(request)
        return self.responses.popleft() if self.responses else self._route(request)

    def _route(self, request: Request) -> ApiResponse:
        match request.method, request.path.removeprefix("/api/projects").split("/")[1:]:
            case "GET", []:
                return 200, self._list_projects(request.query), {}
            case "GET", [project_id]:
                return self._get_project(project_id)
            case "GET", [_, "members"]:
                return 200, {"items": [], "total": 0, "limit": 50, "offset": 0}, {}
            case _, [_, "exports", *_]:
                return 202 if request.method == "POST" else 200, {"export": self._create_export()}, {}
            case "DELETE", [*_]:
                return 200, {"ok": True}, {}
        return 200, {"project_id": PROJECT_ID, "project": PROJECT}, {}

    def _get_project(self, project_id: str) -> ApiResponse:
        for project in self.projects:
            if project["id"] == project_id:
                return 200, {"project": project}, {}
        return 404, {"detail": "You have no such project. GET /api/projects lists yours."}, {}

    def _list_projects(self, query: dict[str, str]) -> dict[str, Any]:
        search = _fold(query.get("search", ""))
        matches = [project for project in self.projects if search in _fold(project["name"])]
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
        return {"items": matches[offset : offset + limit], "total": len(matches), "limit": limit, "offset": offset}

    def _create_export(self) -> dict[str, Any]:
        self.signature_count += 1
        size = len(self.data)
        return {
            "id": self.export_id, "status": "ready", "trigger": "request", "size_bytes": size, "error": None,
            "progress": {"bytes_done": size, "bytes_total": size, "files_done": 1, "files_total": 1},
            "download_url": f"{self.url}/archive?signature={self.signature_count}",
            "download_url_expires_at": "2026-02-10T09:15:00Z", **self.export,
        }  # fmt: skip


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: FakeService

    def setup(self) -> None:
        self.service.connection_count += 1
        super().setup()

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, parts.path, query, dict(self.headers), json.loads(body) if body else None)
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
        service = self.service
        start = int(byte_range.removeprefix("bytes=").rstrip("-")) if byte_range and service.supports_range else 0
        body, size = service.data[start:], len(service.data)
        headers = {"ETag": service.etag}
        if byte_range and service.supports_range:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        break_offset = service.break_offsets.popleft() if service.break_offsets else None
        self._send_head(206 if "Content-Range" in headers else 200, len(body), headers)
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


def start_server(service: FakeService) -> ThreadingHTTPServer:
    """Start a server for the service in a thread, and set the service's URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
