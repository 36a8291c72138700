"""Resumable download of an archive.

A download survives a lost connection, an expired URL, and the end of the program. Until the archive is complete and
checked, ``FILE.part`` holds the bytes downloaded so far, and ``FILE.part.json`` identifies the archive that these bytes
belong to. The next run resumes from ``FILE.part`` if the archive is still the same.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import requests

from projects_client.api import RETRY_POLICY, RETRYABLE_STATUSES, USER_AGENT, describe_failure
from projects_client.errors import CommandError, UnavailableError

#: Bytes written to the part in one call.
CHUNK_SIZE = 1 << 18

#: Timeouts for connecting and for each read, in seconds.
TIMEOUT = (5, 30)

#: Failures in a row, without a byte in between, that end a download.
MAX_FAILURES = 5

#: First and longest pause between two attempts, in seconds.
FIRST_BACKOFF, MAX_BACKOFF = 0.5, 8.0


@dataclass(frozen=True, slots=True)
class PartOrigin:
    """Export, and object in S3, that a part belongs to: the content of ``FILE.part.json``.

    Attributes:
        export_id: Id of the export.
        etag: ETag of the archive.
        size: Size of the archive in bytes.
    """

    export_id: str
    etag: str
    size: int


class _TransferError(Exception):
    """Failure of the connection or the storage, after which the same URL may still work.

    Attributes:
        retry_after: Seconds that the storage wants clients to wait.
    """

    retry_after: float | None = None


class _UrlRejectedError(Exception):
    """Response of the storage to a URL that is no longer valid, most likely because it has expired."""


class _ObjectChangedError(Exception):
    """Object that differs from the one that the part belongs to."""


class Download:
    """Download of one archive to a file.

    Args:
        export_id: Id of the export.
        size: Size of the archive in bytes.
        target: File to write.
        sign_url: Returns a new signed URL of the archive. Its errors end the download.
        on_progress: Called with the number of bytes downloaded so far.

    Attributes:
        part: File that holds the downloaded bytes until ``finish`` renames it.
        part_is_foreign: Whether the part existed, and was not written by a download.
        resumed_at: Number of bytes that an earlier run downloaded; 0 if this run starts from the beginning.
        starts_over: Whether the part existed, and belongs to another archive.
    """

    def __init__(
        self,
        export_id: str,
        size: int,
        target: Path,
        *,
        sign_url: Callable[[], str],
        on_progress: Callable[[int], None],
    ) -> None:
        self.part = target.with_name(f"{target.name}.part")
        self._origin_file = target.with_name(f"{target.name}.part.json")
        self._target = target
        self._export_id, self._size = export_id, size
        self._sign_url, self._on_progress = sign_url, on_progress
        self._session = requests.Session()
        self._session.auth = lambda request: request  # without credentials from .netrc: the URL is signed
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        self.part_is_foreign = self.part.exists() and not self._origin_file.exists()
        self._origin = self._read_origin()
        self.resumed_at = self._count_bytes()
        self.starts_over = self._origin is None and self.part.exists()

    def run(self) -> None:
        """Download the missing bytes.

        Raises:
            UnavailableError: The download failed ``MAX_FAILURES`` times in a row.
            CommandError: The part can't be written.
        """
        url, failures = self._sign_url(), 0
        while (size := self._count_bytes()) < self._size:
            self._on_progress(size)
            if failures:
                time.sleep(0 if failures == 1 else min(FIRST_BACKOFF * 2 ** (failures - 2), MAX_BACKOFF))
            try:
                self._fetch(url, size)
            except _ObjectChangedError:
                self.discard()
                cause = "the archive changed during the download"
            except _UrlRejectedError as error:
                url, cause = self._sign_url(), str(error)
            except _TransferError as error:
                cause = str(error)
                time.sleep(error.retry_after or 0)
            else:
                continue
            failures = 1 if self._count_bytes() > size else failures + 1
            if failures == MAX_FAILURES:
                raise UnavailableError(
                    f"The download failed {MAX_FAILURES} times in a row: {cause}. Run the same command again to resume."
                )
        self._on_progress(size)

    def finish(self) -> None:
        """Flush the part to the disk and rename it to the target."""
        with self.part.open("rb+") as part:
            os.fsync(part.fileno())
        self.part.replace(self._target)
        self._origin_file.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the part and its origin file."""
        self._origin = None
        self.part.unlink(missing_ok=True)
        self._origin_file.unlink(missing_ok=True)

    def _fetch(self, url: str, offset: int) -> None:
        headers = {"Range": f"bytes={offset}-", "If-Match": self._origin.etag} if self._origin and offset else {}
        try:
            with self._session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
                self._check_response(response, offset)
                with self.part.open("ab" if response.status_code == HTTPStatus.PARTIAL_CONTENT else "wb") as part:
                    self._write_body(response, part)
        except requests.RequestException as error:
            raise _TransferError(describe_failure(error)) from None
        except OSError as error:
            raise CommandError(f"{self.part}: {error.strerror}. Run the same command again to resume.") from None

    def _check_response(self, response: requests.Response, offset: int) -> None:
        """Accept a response only if its body continues the part, or starts a new one."""
        status = response.status_code
        if status in {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            raise _ObjectChangedError
        if status in RETRYABLE_STATUSES:
            failure = _TransferError(f"the storage returned status {status}")
            failure.retry_after = RETRY_POLICY.get_retry_after(response.raw)
            raise failure
        if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            raise _UrlRejectedError(f"the storage returned status {status}")
        etag = response.headers.get("ETag", "")
        if status == HTTPStatus.PARTIAL_CONTENT:
            if self._origin is None or etag != self._origin.etag:
                raise _ObjectChangedError
            if not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                raise _TransferError("the storage sent a different range than requested")
            return
        self.part.unlink(missing_ok=True)  # first, or the new origin would describe the old bytes
        self._origin = PartOrigin(self._export_id, etag, self._size)
        self._origin_file.write_text(json.dumps(asdict(self._origin)) + "\n")

    def _write_body(self, response: requests.Response, part: BinaryIO) -> None:
        size = part.tell()
        for chunk in response.iter_content(CHUNK_SIZE):
            part.write(chunk)
            size += len(chunk)
            self._on_progress(size)
        if size > self._size:
            self.discard()
            raise _TransferError("the storage sent more bytes than the archive has")

    def _count_bytes(self) -> int:
        """Return the size of the part, or 0 if it belongs to another archive."""
        return self.part.stat().st_size if self._origin and self.part.exists() else 0

    def _read_origin(self) -> PartOrigin | None:
        """Return the origin of the part, or None if the part does not belong to this archive."""
        try:
            origin = PartOrigin(**json.loads(self._origin_file.read_text()))
            if not (origin.etag.isascii() and origin.etag.isprintable()):
                return None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):  # the file is missing or was edited
            return None
        part_fits = self.part.exists() and self.part.stat().st_size <= self._size
        return origin if part_fits and (origin.export_id, origin.size) == (self._export_id, self._size) else None
