"""A service that behaves badly on demand, as a real stack does not at will."""

import io
import json
import threading
import uuid
import zipfile
import zlib
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PROJECT_ID = str(uuid.UUID(int=1))
PROJECT = {
    "id": PROJECT_ID, "name": "Card fraud", "description": "", "status": "active", "role": "owner",
    "dataset_count": 1, "experiment_count": 0, "model_count": 0,
    "created_at": "2026-02-10T09:00:00Z", "updated_at": "2026-02-10T09:00:00Z",
}  # fmt: skip


def archive(files: dict[str, bytes], **lies: Any) -> bytes:
    """The archive of a project; ``lies`` is what its manifest says of every file instead of the truth."""
    listed = [
        {"path": path, "size": len(data), "crc32": f"{zlib.crc32(data):08x}", **lies} for path, data in files.items()
    ]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr("manifest.json", json.dumps({"format": "projects-export/1", "files": listed}))
        for path, data in files.items():
            opened.writestr(path, data)
    return packed.getvalue()


#: What the API answers: status, body, headers.
type Answer = tuple[int, Any, dict[str, str]]


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Service:
    """The API and the storage that its URLs lead to, on one port.

    Attributes:
        answers: What the API answers next, instead of what it would: status, body, headers.
        cuts: After how many bytes the next downloads break off; None is not at all.
        refusals: What the storage answers to the next downloads: status, headers.
        signature: The only one that the storage takes; each URL has the next.
    """

    data: bytes
    etag: str = '"one"'
    export_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    export: dict[str, Any] = field(default_factory=dict)
    projects: list[dict[str, Any]] = field(default_factory=lambda: [PROJECT])
    answers: deque[Answer] = field(default_factory=deque)
    cuts: deque[int | None] = field(default_factory=deque)
    refusals: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    signature: int | None = None
    honours_range: bool = True
    signed: int = 0
    requests: list[Request] = field(default_factory=list)
    downloads: list[Request] = field(default_factory=list)
    url: str = ""
    stalled: threading.Event = field(default_factory=threading.Event)
    stalls: bool = False

    def answer(self, request: Request) -> Answer:
        """What the API answers."""
        self.requests.append(request)
        if self.answers:
            return self.answers.popleft()
        match request.method, request.path.removeprefix("/api/projects").split("/")[1:]:
            case "GET", []:
                return 200, self._list(request.query), {}
            case _, [_, "exports", *_]:
                return 202 if request.method == "POST" else 200, {"export": self._export()}, {}
            case "DELETE", [*_]:
                return 200, {"ok": True}, {}
        return 200, {"project_id": PROJECT_ID, "project": PROJECT}, {}

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        found = [one for one in self.projects if query.get("search", "").lower() in one["name"].lower()]
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 50))
        return {"items": found[offset : offset + limit], "total": len(found), "limit": limit, "offset": offset}

    def _export(self) -> dict[str, Any]:
        self.signed += 1
        size = len(self.data)
        return {
            "id": self.export_id, "status": "ready", "trigger": "request", "size_bytes": size, "error": None,
            "progress": {"bytes_done": size, "bytes_total": size, "files_done": 1, "files_total": 1},
            "download_url": f"{self.url}/archive?signature={self.signed}",
            "download_url_expires_at": "2026-02-10T09:15:00Z", **self.export,
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, parts.path, query, dict(self.headers), json.loads(body) if body else None)
        if parts.path == "/archive":
            self._download(request)
            return
        status, content, headers = self.service.answer(request)
        self._reply(status, content if isinstance(content, bytes) else json.dumps(content).encode(), headers)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the names that http.server calls

    def _download(self, request: Request) -> None:
        service = self.service
        service.downloads.append(request)
        if service.refusals:
            status, headers = service.refusals.popleft()
            self._reply(status, b"<Error/>", headers)
        elif service.signature and int(request.query["signature"]) < service.signature:
            self._reply(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", {})
        elif request.headers.get("If-Match", service.etag) != service.etag:
            self._reply(412, b"<Error/>", {})
        else:
            self._send_archive(request.headers.get("Range"))

    def _send_archive(self, wanted: str | None) -> None:
        service = self.service
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and service.honours_range else 0
        body, size = service.data[start:], len(service.data)
        headers = {"ETag": service.etag}
        if wanted and service.honours_range:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        cut = service.cuts.popleft() if service.cuts else None
        self._head(206 if "Content-Range" in headers else 200, len(body), headers)
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            if service.stalls:
                service.stalled.wait(20)
            self.close_connection = True

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._head(status, len(body), headers)
        self.wfile.write(body)

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def serve(service: Service) -> ThreadingHTTPServer:
    """Serves it until ``shutdown`` is called."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
