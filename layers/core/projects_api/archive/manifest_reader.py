"""A reader of manifests that holds one row in memory at a time and trusts nothing.

A manifest can reach more than a hundred megabytes. The reader needs no more than a window of it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

from projects_api.archive.manifest import FORMAT_PREFIX, FORMAT_VERSION

#: Maximum size of a manifest that is imported, in bytes.
MAX_MANIFEST_SIZE = 128 << 20

#: Maximum size of one value of a manifest, such as a row, in characters.
MAX_VALUE_LENGTH = 2 << 20

#: The lists of a manifest.
LISTS = ("members", "resources", "files")

_SPACE = re.compile(r"[ \t\r\n]*")
_VERSION = re.compile(r"[1-9][0-9]{0,5}")


class ManifestError(Exception):
    """The manifest cannot be read. The message is a sentence."""


class Row(NamedTuple):
    """A value of the manifest.

    Attributes:
        section: ``format``, ``project``, ``members``, ``resources`` or ``files``.
        number: The number of the row in its list, from 1. For ``format`` and ``project``, 0.
        value: The value. For ``format``, the version as an integer.
    """

    section: str
    number: int
    value: Any


def read_rows(chunks: Iterable[bytes]) -> Iterator[Row]:
    """Yield the format, the project and all rows of a manifest in their order. The format comes first.

    Every version that this service has written is accepted: 1 and 2. Unknown values are ignored.

    Args:
        chunks: The bytes of the manifest.

    Raises:
        ManifestError: The manifest is not JSON, has another form, has a newer format, or is too large.
    """
    scanner = _Scanner(chunks)
    seen: set[str] = set()
    scanner.expect("{")
    while True:
        name = scanner.read_value()
        if not isinstance(name, str):
            scanner.fail()
        scanner.expect(":")
        if not seen:
            yield Row("format", 0, _parse_format(name, scanner.read_value()))
        elif name in seen:
            raise ManifestError(f"The manifest has '{name[:80]}' twice.")
        elif name in LISTS:
            yield from _read_list(scanner, name)
        else:
            value = scanner.read_value()
            if name == "project":
                yield Row(name, 0, value)
        seen.add(name)
        if scanner.expect(",", "}") == "}":
            break
    scanner.expect_end()
    missing = [name for name in ("project", *LISTS) if name not in seen]
    if missing:
        raise ManifestError(f"The manifest has no '{missing[0]}'.")


def _parse_format(name: str, value: object) -> int:
    version = value.removeprefix(FORMAT_PREFIX) if isinstance(value, str) else ""
    if name != "format" or not str(value).startswith(FORMAT_PREFIX) or not _VERSION.fullmatch(version):
        raise ManifestError(f"The manifest does not begin with its format, such as '{FORMAT_PREFIX}{FORMAT_VERSION}'.")
    if int(version) > FORMAT_VERSION:
        raise ManifestError(
            f"The manifest has the format '{FORMAT_PREFIX}{version}', and this service reads formats up to "
            f"'{FORMAT_PREFIX}{FORMAT_VERSION}'. Import the archive where a newer version of the service runs."
        )
    return int(version)


def _read_list(scanner: _Scanner, name: str) -> Iterator[Row]:
    scanner.expect("[")
    if scanner.peek() == "]":
        scanner.expect("]")
        return
    number = 0
    while True:
        number += 1
        yield Row(name, number, scanner.read_value())
        if scanner.expect(",", "]") == "]":
            return


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)


class _Scanner:
    """A scanner of JSON text (RFC 8259) that arrives in chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder(parse_constant=_reject_constant)
        self._text = ""
        self._position = 0
        self._offset = 0
        self._complete = False

    def fail(self) -> NoReturn:
        raise ManifestError(
            f"The manifest is not valid at character {self._offset + self._position}: its JSON is invalid or has "
            f"another form than documented, or one value has more than {MAX_VALUE_LENGTH} characters."
        )

    def _fill(self, length: int) -> None:
        """Read until the window has ``length`` characters, or the manifest ends."""
        while len(self._text) - self._position < length and not self._complete:
            chunk = next(self._chunks, None)
            self._complete = chunk is None
            try:
                more = self._decoder.decode(chunk or b"", final=self._complete)
            except UnicodeDecodeError:
                raise ManifestError("The manifest is not valid UTF-8.") from None
            self._text = self._text[self._position :] + more
            self._offset += self._position
            self._position = 0

    def peek(self) -> str:
        """Return the next character that is not a space, or no character at the end."""
        while True:
            self._fill(1)
            match = _SPACE.match(self._text, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._text) or self._complete:
                return self._text[self._position : self._position + 1]

    def expect(self, *characters: str) -> str:
        """Skip the next character, which must be one of ``characters``, and return it."""
        character = self.peek()
        if character not in characters:
            self.fail()
        self._position += 1
        return character

    def expect_end(self) -> None:
        """Check that only spaces follow."""
        if self.peek():
            self.fail()

    def read_value(self) -> Any:
        """Return the next JSON value."""
        self.peek()
        self._fill(MAX_VALUE_LENGTH)
        try:
            value, end = self._json.raw_decode(self._text, self._position)
        except (ValueError, RecursionError):
            self.fail()
        if end - self._position > MAX_VALUE_LENGTH:
            self.fail()
        self._position = end
        return value
