"""A download that survives a broken line, an expired URL, and the end of this program.

Beside ``FILE`` there are, until it is whole and checked, ``FILE.part`` with the bytes so far and ``FILE.part.json``
with what they are a part of. Whoever starts again goes on from there, if it is still the same archive.
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

from projects_client.api import RETRY, TRY_AGAIN, USER_AGENT, reason
from projects_client.errors import CommandError, UnavailableError

CHUNK = 1 << 18
TIMEOUT = (5, 30)

#: How often a download may fail in a row without a byte more, and how long it rests before it goes on, in seconds.
FAILURES = 5
FIRST_REST, LONGEST_REST = 0.5, 8.0


@dataclass(frozen=True, slots=True)
class Origin:
    """What a part is a part of: an export, and the object that is its archive."""

    export_id: str
    etag: str
    size: int


class _BrokenOffError(Exception):
    """The line broke, or the server failed; the same URL may do later."""

    rest: float | None = None


class _NotLetInError(Exception):
    """The URL is of no use any more: signed too long ago, most likely."""


class _AnotherObjectError(Exception):
    """What the URL leads to is not what the part is of."""


class Download:
    """One archive on its way to a file.

    Args:
        sign: Asks for a URL of the archive, signed afresh. What it raises ends the download.
        tell: Is told how many bytes are there.
    """

    def __init__(
        self, export_id: str, size: int, target: Path, *, sign: Callable[[], str], tell: Callable[[int], None]
    ) -> None:
        self.part = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self._target = target
        self._export_id, self._size = export_id, size
        self._sign, self._tell = sign, tell
        self._session = requests.Session()
        self._session.auth = lambda request: request  # no .netrc: the URL says who may
        self._session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        #: Whether what is called as the part was not written by a download.
        self.part_is_foreign = self.part.exists() and not self._note.exists()
        self._origin = self._read_note()
        #: From which byte on this download goes; 0 where it starts anew.
        self.resumed_at = self._have()
        #: Whether there was a part, and of another archive.
        self.starts_over = self._origin is None and self.part.exists()

    def run(self) -> None:
        """Gets what is missing.

        Raises:
            UnavailableError: It failed again and again.
        """
        url, failures = self._sign(), 0
        while (have := self._have()) < self._size:
            self._tell(have)
            if failures:
                time.sleep(0 if failures == 1 else min(FIRST_REST * 2 ** (failures - 2), LONGEST_REST))
            try:
                self._get(url, have)
            except _AnotherObjectError:
                self._forget()
                why = "the archive changes while it is read"
            except _NotLetInError as error:
                url, why = self._sign(), str(error)
            except _BrokenOffError as error:
                why = str(error)
                time.sleep(error.rest or 0)
            else:
                continue
            failures = 1 if self._have() > have else failures + 1
            if failures == FAILURES:
                raise UnavailableError(
                    f"The download broke off {FAILURES} times in a row: {why}. The same command goes on from here."
                )
        self._tell(have)

    def finish(self) -> None:
        """Gives the file its name; it is on the disk when that is there."""
        with self.part.open("rb+") as written:
            os.fsync(written.fileno())
        self.part.replace(self._target)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Removes what was downloaded."""
        self._forget()

    def _get(self, url: str, have: int) -> None:
        asked = {"Range": f"bytes={have}-", "If-Match": self._origin.etag} if self._origin and have else {}
        try:
            with self._session.get(url, headers=asked, stream=True, timeout=TIMEOUT) as answer:
                self._judge(answer, have)
                with self.part.open("ab" if answer.status_code == HTTPStatus.PARTIAL_CONTENT else "wb") as part:
                    self._copy(answer, part)
        except requests.RequestException as error:
            raise _BrokenOffError(reason(error)) from None
        except OSError as error:
            raise CommandError(f"{self.part}: {error.strerror}. The same command goes on from there.") from None

    def _judge(self, answer: requests.Response, have: int) -> None:
        """Lets through only what continues the part, or starts it."""
        status = answer.status_code
        if status in {HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            raise _AnotherObjectError
        if status in TRY_AGAIN:
            broken = _BrokenOffError(f"the storage answered {status}")
            broken.rest = RETRY.get_retry_after(answer.raw)
            raise broken
        if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            raise _NotLetInError(f"the storage answered {status}")
        etag = answer.headers.get("ETag", "")
        if status == HTTPStatus.PARTIAL_CONTENT:
            if self._origin is None or etag != self._origin.etag:
                raise _AnotherObjectError
            if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise _BrokenOffError("the storage sent another range than the one it was asked for")
            return
        self.part.unlink(missing_ok=True)  # before the note, which would say of its bytes what is not so
        self._origin = Origin(self._export_id, etag, self._size)
        self._note.write_text(json.dumps(asdict(self._origin)) + "\n")

    def _copy(self, answer: requests.Response, part: BinaryIO) -> None:
        have = part.tell()
        for chunk in answer.iter_content(CHUNK):
            part.write(chunk)
            have += len(chunk)
            self._tell(have)
        if have > self._size:
            self._forget()
            raise _BrokenOffError("the storage sent more than the archive has")

    def _have(self) -> int:
        """How many bytes of this very archive are there."""
        return self.part.stat().st_size if self._origin and self.part.exists() else 0

    def _read_note(self) -> Origin | None:
        """What the part is of, where that is this archive."""
        try:
            origin = Origin(**json.loads(self._note.read_text()))
            if not (origin.etag.isascii() and origin.etag.isprintable()):
                return None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):  # somebody has written into it
            return None
        whole = self.part.exists() and self.part.stat().st_size <= self._size
        return origin if whole and (origin.export_id, origin.size) == (self._export_id, self._size) else None

    def _forget(self) -> None:
        self._origin = None
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
