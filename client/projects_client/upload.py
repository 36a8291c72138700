"""Resumable upload of a file of any size, in parts that are sent in parallel.

A state file in the cache folder remembers an unfinished upload, so that the next run sends only the missing parts.
Nothing is written next to the user's file.
"""

import errno
import hashlib
import json
import math
import mimetypes
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Event, Lock, local
from typing import Any, BinaryIO, Final

import requests

from projects_client.api import RETRY_POLICY, RETRYABLE_STATUSES, ApiClient, Json, describe_failure
from projects_client.errors import ConflictError, ForbiddenError, NotFoundError, ProjectsClientError, UnavailableError
from projects_client.profiles import get_cache_folder
from projects_client.progress import OnNote, OnProgress, Step, ignore
from projects_client.stored_object import FIRST_BACKOFF, MAX_BACKOFF, MAX_FAILURES, create_storage_session

#: Size of a part in bytes; larger files have larger parts, because S3 allows 10,000 parts.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
PART_SIZE, MAX_PARTS = 16 << 20, 10_000

#: Number of parts that are sent in parallel.
PARALLEL_PARTS = 4

#: Timeouts for connecting and for the response to a part, in seconds.
TIMEOUT = (5, 120)

#: Time between two reports of the progress, in seconds: the parts are sent in packets of a few KiB.
REPORT_INTERVAL = 0.05

#: Attempts to complete an upload whose parts the service misses.
MAX_COMPLETIONS = 3

_MIB: Final = 1 << 20


class _UrlExpiredError(Exception):
    """Response of the storage to a URL that is no longer valid."""


@dataclass(frozen=True)
class _Upload:
    """Upload as the API describes it, and the file that it sends."""

    id: str
    complete_url: str
    part_size: int
    part_count: int
    file: Path
    size: int

    def get_range(self, number: int) -> tuple[int, int]:
        start = (number - 1) * self.part_size
        return start, min(start + self.part_size, self.size)


class _FilePart:
    """Range of a file as the body of a request, which computes its MD5 while it is sent."""

    def __init__(self, file: BinaryIO, start: int, stop: int, on_read: Callable[[int], None]) -> None:
        file.seek(start)
        self._file, self._remaining, self._length, self._on_read = file, stop - start, stop - start, on_read
        self.md5 = hashlib.md5(usedforsecurity=False)  # S3's ETag of a part
        self.sent = 0

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        wanted = self._remaining if size < 0 else min(size, self._remaining)
        chunk = self._file.read(wanted)
        self._remaining -= len(chunk)
        self.sent += len(chunk)
        self.md5.update(chunk)
        self._on_read(len(chunk))
        return chunk

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(_MIB):
            yield chunk


def guess_content_type(file: Path) -> str:
    """Return the content type for the name of a file."""
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream"


def choose_part_size(size: int) -> int:
    """Return the size of the parts of a file, in bytes."""
    return max(PART_SIZE, math.ceil(size / (MAX_PARTS * _MIB)) * _MIB)


def upload_file(
    api: ApiClient,
    file: Path,
    identity: Json,
    create: Callable[[int, int, str], Json],
    *,
    on_progress: OnProgress = ignore,
    on_note: OnNote = ignore,
) -> Json:
    """Upload a file, or resume its upload, and return the API's response to the completion.

    Args:
        api: The API.
        file: The file.
        identity: Describes the purpose of the upload. A repeated call with the same file and identity resumes.
        create: Starts an upload for a size, a part size and an idempotency key, and returns the API's ``upload``.
        on_progress: Called with each step.
        on_note: Called with sentences about what is unusual.

    Raises:
        ProjectsClientError: The file can't be read, or changed during the upload.
    """
    try:
        status = file.stat()
        if not file.is_file():
            raise ProjectsClientError(f"{file} is not a file.")
    except OSError as error:
        raise ProjectsClientError(f"{file}: {error.strerror}.") from None
    version = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
    state = _State({"url": api.url, "file": str(file.resolve()), **version, **identity})
    upload, parts = _resume(api, file, state, status.st_size)
    if upload is None:
        raw = create(status.st_size, choose_part_size(status.st_size), state.idempotency_key)
        state.save({"upload": {name: value for name, value in raw.items() if name != "parts"}})
        upload = _read_upload(raw, file, status.st_size)
        parts = {"parts": raw["parts"], "next_after": _find_next(raw)}
    elif any(part.get("uploaded") for part in parts["parts"]):
        on_note(f"Resuming the upload of {file}.")
    try:
        sender = _Sender(api, upload, on_progress)
        sender.send_all(parts)
        if {"size": file.stat().st_size, "mtime_ns": file.stat().st_mtime_ns} != version:
            state.remove()
            raise ProjectsClientError(f"{file} changed during the upload. Call it again.")
        response = sender.complete()
    except (NotFoundError, ForbiddenError):
        state.remove()  # the service has aborted the upload
        raise
    state.remove()
    return response


def _resume(api: ApiClient, file: Path, state: "_State", size: int) -> tuple[_Upload | None, Json]:
    raw = state.load()
    if raw is None or "upload" not in raw:  # without an upload, the idempotency key of a start without a response
        return None, {}
    try:
        upload = _read_upload(raw["upload"], file, size)
        return upload, api.post(f"/api/uploads/{upload.id}/parts", {"after": 0})
    except (NotFoundError, ForbiddenError, ConflictError, KeyError, TypeError):
        state.remove()
        return None, {}


def _read_upload(raw: Json, file: Path, size: int) -> _Upload:
    path = str(raw["complete_url"])
    path = path[path.index("/api/") :]  # the client's own URL of the API may have another host
    return _Upload(raw["id"], path, raw["part_size_bytes"], raw["part_count"], file, size)


def _find_next(raw: Json) -> int | None:
    last = raw["parts"][-1]["number"] if raw["parts"] else 0
    return last if last < raw["part_count"] else None


class _Sender:
    """Transfer of the parts of one upload."""

    def __init__(self, api: ApiClient, upload: _Upload, on_progress: OnProgress) -> None:
        self._api, self._upload, self._on_progress = api, upload, on_progress
        self._done, self._reported_at = 0, 0.0
        self._lock, self._local = Lock(), local()
        self._stopped = Event()  # ends the pauses of all threads, too

    def send_all(self, page: Json) -> None:
        """Send the parts that are missing, page by page."""
        while True:
            missing = []
            for part in page["parts"]:
                if part.get("uploaded"):
                    start, stop = self._upload.get_range(part["number"])
                    self._advance(stop - start)
                else:
                    missing.append(part)
            self._send_page(missing)
            if page.get("next_after") is None:
                return
            page = self._list_parts(page["next_after"])

    def complete(self) -> Json:
        """Complete the upload; send parts that the service misses, and wait while the storage assembles the object."""
        for _ in range(MAX_COMPLETIONS - 1):
            with suppress(ConflictError):
                return self._request_completion()
            with self._lock:
                self._done = 0
            self.send_all(self._list_parts(0))
        return self._request_completion()

    def _request_completion(self) -> Json:
        while True:
            response = self._api.send("POST", self._upload.complete_url)
            if response.content.get("resource") or response.content.get("import"):
                return response.content
            time.sleep(_parse_seconds(response.headers.get("Retry-After")))

    def _list_parts(self, after: int) -> Json:
        return self._api.post(f"/api/uploads/{self._upload.id}/parts", {"after": after})

    def _send_page(self, parts: list[Json]) -> None:
        with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
            futures = [pool.submit(self._send_part, part["number"], part["url"]) for part in parts]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _send_part(self, number: int, url: str) -> None:
        failures, cause = 0, ""
        while failures < MAX_FAILURES and not self._stopped.is_set():
            if failures and self._stopped.wait(min(FIRST_BACKOFF * 2 ** (failures - 1), MAX_BACKOFF)):
                return
            start, stop = self._upload.get_range(number)
            with self._upload.file.open("rb") as content:
                body = _FilePart(content, start, stop, self._advance)
                try:
                    self._put(url, body)
                except _UrlExpiredError as error:
                    cause = str(error)
                    page = self._list_parts(number - 1)
                    part = next((part for part in page["parts"] if part["number"] == number), None)
                    if part is None:
                        raise ProjectsClientError(f"The API does not list part {number} of the upload.") from None
                    if part.get("uploaded"):
                        self._advance(stop - start - body.sent)
                        return
                    url = part["url"]
                except (requests.RequestException, OSError, UnavailableError) as error:
                    cause = str(error) if isinstance(error, UnavailableError) else describe_failure(error, url)
                else:
                    return
                self._advance(-body.sent)
                failures += 1
        if not self._stopped.is_set():
            raise UnavailableError(
                f"The upload of part {number} failed {MAX_FAILURES} times: {cause}. Call it again to resume."
            )

    def _put(self, url: str, body: _FilePart) -> None:
        response = self._get_session().put(url, data=body if len(body) else b"", timeout=TIMEOUT, allow_redirects=False)
        status = response.status_code
        if status in RETRYABLE_STATUSES:
            self._stopped.wait(min(RETRY_POLICY.get_retry_after(response.raw) or 0, MAX_BACKOFF))
            raise UnavailableError(f"the storage returned status {status}")
        if status in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST}:
            raise _UrlExpiredError(f"the storage returned status {status}")
        if status != HTTPStatus.OK:
            raise UnavailableError(f"the storage returned status {status}")
        etag = response.headers.get("ETag", "").strip('"')
        if not etag:
            raise UnavailableError("something else than the storage responded")
        # the ETag of an object encrypted with a key of KMS is not its MD5:
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
        is_md5 = "kms" not in response.headers.get("x-amz-server-side-encryption", "")
        if is_md5 and etag != body.md5.hexdigest():
            raise UnavailableError("the storage received other bytes than the file has")

    def _get_session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = create_storage_session()
        return session

    def _advance(self, size: int) -> None:
        if self._stopped.is_set() and size > 0:
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))  # ends the transfer of the part in its middle
        with self._lock:
            self._done += size
            now = time.monotonic()
            if self._done == self._upload.size or now - self._reported_at >= REPORT_INTERVAL:
                self._reported_at = now
                self._on_progress(Step("uploading", self._done, self._upload.size))


class _State:
    """Memory of an unfinished upload, in the cache folder."""

    def __init__(self, identity: Json) -> None:
        text = json.dumps(identity, sort_keys=True)
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        self._file = get_cache_folder() / "uploads" / f"{digest}.json"
        self._identity = digest

    @property
    def idempotency_key(self) -> str:
        """Key that makes a repeated start return the same upload, even if the response to the first was lost."""
        loaded = self.load() or {}
        key = loaded.get("idempotency_key") or f"{self._identity[:32]}-{time.time_ns()}"
        self.save({"idempotency_key": key})
        return str(key)

    def load(self) -> Json | None:
        try:
            content: Any = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def save(self, values: Json) -> None:
        """Save values; without a cache folder, an upload is not resumed, and nothing else is lost."""
        temporary = self._file.with_suffix(f".{time.time_ns()}")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_text(json.dumps((self.load() or {}) | values), encoding="utf-8")
            temporary.replace(self._file)
        except OSError:
            return

    def remove(self) -> None:
        try:
            self._file.unlink(missing_ok=True)
        except OSError:
            return


def _parse_seconds(text: str | None) -> float:
    try:
        return min(max(float(text or 1), 0.2), 30)
    except ValueError:
        return 1
