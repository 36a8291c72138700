"""Fake of the API and of its uploads, with failures on demand that a real stack can't produce at will."""

import hashlib
import io
import json
import re
import threading
import unicodedata
import uuid
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

PROJECT_ID = str(uuid.UUID(int=1))
PROJECT = {
    "id": PROJECT_ID, "name": "Card fraud", "description": "", "status": "active", "role": "owner",
    "dataset_count": 1, "experiment_count": 0, "model_count": 0,
    "created_at": "2026-02-10T09:00:00Z", "updated_at": "2026-02-10T09:00:00Z",
}  # fmt: skip


ME: dict[str, Any] = {
    "user": {"id": str(uuid.UUID(int=7)), "email": "alice@example.com", "name": "Alice"},
    "key": {"id": "0123456789abcdef", "scopes": ["read", "write"], "created_at": "2026-02-10T09:00:00Z",
            "expires_at": None},
}  # fmt: skip

#: Number of parts that the API lists in one response; the real one lists 1,000.
PARTS_PAGE = 2


def build_archive(files: dict[str, bytes], *, resources: Sequence[Any] = (), **overrides: Any) -> bytes:
    """Return the archive of a project.

    Args:
        files: Content of each file by its path.
        resources: Rows of the resources in the manifest.
        overrides: Wrong values for the manifest's fields, the same for every file.
    """
    entries = [
        {"path": path, "size": len(data), "crc32": f"{zlib.crc32(data):08x}", **overrides}
        for path, data in files.items()
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        manifest = json.dumps({"format": "projects-export/2", "resources": list(resources), "files": entries}).encode()
        for path, data in {"manifest.json": manifest, **files}.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 2, 10, 9, 0, 0)), data)  # by default the current time
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
class FakeUpload:
    """Upload, and the parts that clients have sent."""

    id: str
    size: int
    part_size: int
    outcome: dict[str, Any]
    key: str
    parts: dict[int, bytes] = field(default_factory=dict)

    @property
    def part_count(self) -> int:
        return max(1, -(-self.size // self.part_size))

    @property
    def content(self) -> bytes:
        return b"".join(self.parts[number] for number in sorted(self.parts))

    def get_size(self, number: int) -> int:
        return min(self.part_size, self.size - (number - 1) * self.part_size)


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
        max_range: Most bytes of a range that a proxy returns at a time, without the size of the archive.
        signature_count: Number of URLs signed so far; each URL carries its number.
        requests: Requests to the API.
        downloads: Requests to the storage.
        url: Base URL of both.
        stalls: Whether a broken download first waits for ``resumed``, for up to 20 seconds.
        resumed: Ends the wait of a stalled download.
        connection_count: Number of connections that clients have opened.
        page: Number of bytes after which the storage's responses become another page, and the page, as from the login
            of a network. None for a storage that always responds itself.
        resources: Resources by their ids.
        uploads: Uploads by their ids.
        part_size: Size of the parts of an upload; None has the size that the client requests.
        part_errors: Status of the storage's next responses to parts; 200 with a wrong ETag for 0.
        lost_parts: Numbers of parts that the storage accepts once and forgets.
        part_numbers: Numbers of all parts that clients have sent, in order.
        assembling: Number of times that an upload is still being assembled when it is completed.
        imports: Next states of an import, which the last one keeps.
        scopes: Scopes of the key.
        activity: Entries of the activity.
        members: Members of every project.
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
    max_range: int | None = None
    signature_count: int = 0
    requests: list[Request] = field(default_factory=list)
    downloads: list[Request] = field(default_factory=list)
    url: str = ""
    stalls: bool = False
    resumed: threading.Event = field(default_factory=threading.Event)
    connection_count: int = 0
    page: tuple[int, bytes] | None = None
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[str, FakeUpload] = field(default_factory=dict)
    part_size: int | None = None
    part_errors: deque[int] = field(default_factory=deque)
    lost_parts: set[int] = field(default_factory=set)
    part_numbers: list[int] = field(default_factory=list)
    assembling: int = 0
    imports: deque[dict[str, Any]] = field(default_factory=deque)
    scopes: set[str] = field(default_factory=lambda: {"read", "write"})
    activity: list[dict[str, Any]] = field(default_factory=list)
    members: list[dict[str, Any]] = field(default_factory=list)

    def respond(self, request: Request) -> ApiResponse:
        """Record a request to the API, and return the response."""
        self.requests.append(request)
        if self.responses:
            return self.responses.popleft()
        scope = "read" if request.method == "GET" else "write"
        if scope not in self.scopes:
            return 403, {"detail": f"This key does not have the scope '{scope}'."}, {}
        for method, pattern, respond in _ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                return respond(self, request, *match.groups())
        return 404, {"message": "Not Found"}, {}

    def store_part(self, request: Request) -> tuple[int, dict[str, str]]:
        """Store a part of an upload, and return the status and the headers of the storage's response."""
        number, upload = int(request.query["number"]), self.uploads.get(request.query["upload"])
        self.part_numbers.append(number)
        status = self.part_errors.popleft() if self.part_errors else 200
        if status not in {0, 200}:
            return status, {}
        if upload is None or self._is_expired(request):
            return 403, {}
        body: bytes = request.body
        if len(body) != upload.get_size(number):
            return 403, {}
        if number in self.lost_parts:
            self.lost_parts.remove(number)
        else:
            upload.parts[number] = body
        return 200, {"ETag": f'"{hashlib.md5(body if status else b"other").hexdigest()}"'}

    def _is_expired(self, request: Request) -> bool:
        return bool(self.oldest_signature and int(request.query["signature"]) < self.oldest_signature)

    def _sign(self, path: str) -> str:
        self.signature_count += 1
        return f"{self.url}{path}signature={self.signature_count}"

    def _list_items(self, items: list[dict[str, Any]], request: Request) -> ApiResponse:
        start, limit = int(request.query.get("cursor", 0)), int(request.query.get("limit", 50))
        page, end = items[start : start + limit], start + limit
        return 200, {"items": page, "next_cursor": str(end) if end < len(items) else None}, {}

    def _respond_with_resource(self, _: Request, resource_id: str) -> ApiResponse:
        if resource_id not in self.resources:
            return 404, {"detail": "There is no such resource. GET …/resources lists them."}, {}
        return 200, {"resource": self.resources[resource_id]}, {}

    def _delete_resource(self, _: Request, resource_id: str) -> ApiResponse:
        if self.resources.pop(resource_id, None) is None:
            return 404, {"detail": "There is no such resource. GET …/resources lists them."}, {}
        return 200, {"ok": True}, {}

    def _add_resource(self, request: Request, resource_id: str | None = None) -> ApiResponse:
        status = 200 if resource_id else 201
        resource_id = resource_id or str(uuid.uuid4())
        body = request.body
        resource = {"id": resource_id, "type": body["type"], "name": body["name"], "timestamp": "2026-02-10T09:00:00Z",
                    "fields": body.get("fields", {}), "origin": None, "artifact": None}  # fmt: skip
        if "file" not in body:
            self.resources[resource_id] = resource
            return status, {"resource": resource, "upload": None}, {}
        file = body["file"]
        resource["artifact"] = {"file_name": file["name"], "size_bytes": file["size_bytes"],
                                "content_type": file["content_type"]}  # fmt: skip
        upload = self._start_upload(request, file["size_bytes"], {"resource": resource})
        return status, {"resource": None, "upload": upload}, {}

    def _start_upload(self, request: Request, size: int, outcome: dict[str, Any]) -> dict[str, Any]:
        key = request.headers.get("Idempotency-Key", "")
        same = [upload for upload in self.uploads.values() if upload.key == key != ""]
        part_size = self.part_size or request.body.get("part_size_bytes", 5 << 30)
        upload = same[0] if same else FakeUpload(str(uuid.uuid4()), size, part_size, outcome, key)
        self.uploads[upload.id] = upload
        return {
            "id": upload.id, "part_size_bytes": part_size, "part_count": upload.part_count,
            "parts": [{"number": part["number"], "url": part["url"]} for part in self._describe_parts(upload, 0)],
            "urls_expire_at": "2026-02-10T09:15:00Z", "expires_at": "2026-02-17T09:00:00Z",
            "complete_url": f"{self.url}/api/uploads/{upload.id}/complete",
        }  # fmt: skip

    def _describe_parts(self, upload: FakeUpload, after: int) -> list[dict[str, Any]]:
        return [
            {
                "number": number,
                "uploaded": number in upload.parts,
                "url": None if number in upload.parts else self._sign(f"/part?upload={upload.id}&number={number}&"),
            }
            for number in range(after + 1, min(after + PARTS_PAGE, upload.part_count) + 1)
        ]

    def _list_parts(self, request: Request, upload_id: str) -> ApiResponse:
        if upload_id not in self.uploads:
            return 404, {"detail": "There is no such upload."}, {}
        upload, after = self.uploads[upload_id], request.body["after"]
        parts = self._describe_parts(upload, after)
        last = after + len(parts)
        return 200, {"parts": parts, "next_after": last if last < upload.part_count else None}, {}

    def _complete_upload(self, _: Request, upload_id: str) -> ApiResponse:
        if upload_id not in self.uploads:
            return 404, {"detail": "There is no such upload."}, {}
        upload = self.uploads[upload_id]
        missing = sorted(set(range(1, upload.part_count + 1)) - set(upload.parts))
        if missing:
            return 409, {"detail": f"Parts are missing: {', '.join(map(str, missing))}."}, {}
        if self.assembling:
            self.assembling -= 1
            return 202, {}, {"Retry-After": "0"}
        if "resource" in upload.outcome:
            self.resources[upload.outcome["resource"]["id"]] = upload.outcome["resource"]
            return 201, upload.outcome, {}
        return 202, upload.outcome, {}

    def _start_import(self, request: Request) -> ApiResponse:
        started: dict[str, Any] = {"id": str(uuid.uuid4()), "status": "pending", "progress": None, "project_id": None,
                                   "errors": [], "error_count": 0, "warnings": []}  # fmt: skip
        if "export_id" in request.body:
            return 202, {"import": started, "upload": None}, {}
        upload = self._start_upload(request, request.body["size_bytes"], {"import": started})
        return 201, {"import": started | {"status": "uploading"}, "upload": upload}, {}

    def _get_import(self, _: Request, import_id: str) -> ApiResponse:
        state = self.imports.popleft() if len(self.imports) > 1 else self.imports[0]
        base: dict[str, Any] = {"id": import_id, "status": "ready", "progress": None, "project_id": PROJECT_ID,
                                "errors": [], "error_count": 0, "warnings": []}  # fmt: skip
        return 200, {"import": base | state}, {}

    def _transfer(self, request: Request, project_id: str) -> ApiResponse:
        status, body, headers = self._get_project(project_id)
        return status, {"project": body["project"] | {"role": "admin"}} if status == 200 else body, headers

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
            "download_url": f"{self.url}/archive?signature={self.signature_count}" if "read" in self.scopes else None,
            "download_url_expires_at": "2026-02-10T09:15:00Z", **self.export,
        }  # fmt: skip


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()


def _route(respond: Callable[[FakeService, Request], Any], status: int = 200) -> Callable[..., ApiResponse]:
    """Return a function that responds with the JSON of another one, whatever the ids in the path are."""
    return lambda service, request, *_: (status, respond(service, request), {})


_PROJECT = "/api/projects/([^/]+)"
_ANY_PROJECT = "/api/projects/[^/]+"

#: Method and path of each route, and the function that responds.
_ROUTES: list[tuple[str, str, Callable[..., ApiResponse]]] = [
    ("GET", "/api/me", _route(lambda service, _: ME | {"key": ME["key"] | {"scopes": sorted(service.scopes)}})),
    ("GET", "/api/projects", _route(lambda service, request: service._list_projects(request.query))),
    ("POST", "/api/projects", _route(lambda *_: {"project_id": PROJECT_ID, "project": PROJECT}, 201)),
    ("GET", _PROJECT, lambda service, _, project_id: service._get_project(project_id)),
    ("PUT", _PROJECT, _route(lambda *_: {"project": PROJECT})),
    ("DELETE", _PROJECT, _route(lambda *_: {"ok": True})),
    ("PUT", f"{_PROJECT}/owner", FakeService._transfer),
    ("GET", f"{_ANY_PROJECT}/members", _route(lambda service, _: {
        "items": service.members, "total": len(service.members), "limit": 50, "offset": 0})),
    ("DELETE", f"{_ANY_PROJECT}/members/[^/]+", _route(lambda *_: {"ok": True})),
    ("GET", f"{_ANY_PROJECT}/activity", lambda service, request: service._list_items(service.activity, request)),
    ("GET", f"{_ANY_PROJECT}/export", _route(lambda service, _: {"export": service._create_export()})),
    ("POST", f"{_ANY_PROJECT}/exports", _route(lambda service, _: {"export": service._create_export()}, 202)),
    ("GET", f"{_ANY_PROJECT}/exports",
     lambda service, request: service._list_items([service._create_export()], request)),
    ("GET", f"{_ANY_PROJECT}/exports/[^/]+", _route(lambda service, _: {"export": service._create_export()})),
    ("DELETE", f"{_ANY_PROJECT}/exports/[^/]+", _route(lambda *_: {"ok": True})),
    ("GET", f"{_ANY_PROJECT}/resources",
     lambda service, request: service._list_items(list(service.resources.values()), request)),
    ("POST", f"{_ANY_PROJECT}/resources", FakeService._add_resource),
    ("GET", f"{_ANY_PROJECT}/resources/([^/]+)", FakeService._respond_with_resource),
    ("PUT", f"{_ANY_PROJECT}/resources/([^/]+)", FakeService._add_resource),
    ("DELETE", f"{_ANY_PROJECT}/resources/([^/]+)", FakeService._delete_resource),
    ("POST", "/api/uploads/([^/]+)/parts", FakeService._list_parts),
    ("POST", "/api/uploads/([^/]+)/complete", FakeService._complete_upload),
    ("POST", "/api/imports", FakeService._start_import),
    ("GET", "/api/imports/([^/]+)", FakeService._get_import),
]  # fmt: skip
