"""The CRC-32s of the artifacts in an archive."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple, Self

from projects_api.archive.archive_index import ArchiveIndex
from projects_api.archive.crc32 import combine_crc32
from projects_api.archive.plan import is_copied
from projects_api.entities.snapshot import Pin
from projects_api.storage.aws_errors import ObjectMissingError, ObjectRefusedError
from projects_api.storage.s3 import artifact_store
from projects_api.storage.s3.artifact_store import StoredChecksum

#: Bytes of an artifact that one request reads for its checksum. The work can stop between two requests.
CHECKSUM_READ_SIZE = 64 << 20


#: Largest artifact that the worker reads instead of having S3 copy it for its checksum, in bytes.
MAX_READ_SIZE = 1 << 20

#: Bytes of an artifact that one request copies for its checksum.
CHECKSUM_COPY_SIZE = 256 << 20

#: Number of artifacts whose checksums are asked for in parallel.
ASKING_THREADS = 16


class PartialChecksum(NamedTuple):
    """The CRC-32 of the beginning of an artifact.

    Attributes:
        offset: The number of bytes that the checksum covers.
        crc32: The CRC-32 of these bytes.
    """

    offset: int
    crc32: int


class SavedChecksums(NamedTuple):
    """The checksums that a run has learned, for the next run.

    Attributes:
        crc32s: The CRC-32s of artifacts, by the index of their entry.
        partial: The CRC-32s of the beginnings of artifacts, by the index of their entry.
    """

    crc32s: dict[int, int]
    partial: dict[int, PartialChecksum]

    def encode(self) -> bytes:
        """Return the checksums as JSON."""
        return json.dumps([list(self.crc32s.items()), list(self.partial.items())]).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Return the checksums that ``encode`` has encoded."""
        crc32s, partial = json.loads(data)
        return cls(dict(crc32s), {index: PartialChecksum(*checksum) for index, checksum in partial})


class ArtifactChecksums:
    """The CRC-32s of the artifacts in an archive, by the index of their entry.

    The CRC-32 of an artifact is combined from those of its pieces (``record``): S3 returns the one of each piece that
    it copies, and the worker computes the one of each piece that it reads. The CRC-32 of a piece is unknown if the
    server returns none, or if an earlier run has copied it. That of the artifact then comes from the first of these
    sources that has it:

    1. The checksums that S3 keeps of the artifact.
    2. Another copy of the missing pieces, which S3 deletes again. The worker itself reads small artifacts.
    3. The bytes of the artifact, read for this purpose only. A later run continues where an earlier one stopped.

    Args:
        pins: The pins of the artifacts, by the index of their entry, with the CRC-32s that are known in advance.
        check: Called before each read. It raises an error to stop the work.
        saved: The checksums that earlier runs have learned.
        copy: Called with an index, an offset and a size. It has S3 copy the range and returns the CRC-32, or None if
            the server returns none.

    Attributes:
        gained: The number of bytes of artifacts whose checksums this run has learned.
    """

    def __init__(
        self,
        pins: Mapping[int, Pin],
        *,
        check: Callable[[], None],
        saved: SavedChecksums | None,
        copy: Callable[[int, int, int], int | None],
    ) -> None:
        self.gained = 0
        self._pins = pins
        self._check = check
        self._copy = copy
        self._copies_have_checksums = True
        self._lock = threading.Lock()
        self._partial = dict(saved.partial) if saved else {}
        #: The CRC-32 of no bytes is 0.
        self._crc32s = {index: 0 for index, pin in pins.items() if not pin.size}
        self._crc32s |= {index: pin.crc32 for index, pin in pins.items() if pin.crc32 is not None}
        self._crc32s |= saved.crc32s if saved else {}
        #: The size and the CRC-32 of each piece of an artifact, by its offset.
        self._pieces: dict[int, dict[int, tuple[int, int]]] = {}

    def record(self, index: int, start: int, size: int, crc32: int | None) -> None:
        """Record the checksum of a piece of an artifact, or that the server does not return it."""
        if crc32 is None:
            self._copies_have_checksums = False
            return
        with self._lock:
            pieces = self._pieces.setdefault(index, {})
            pieces[start] = (size, crc32)
            if index in self._crc32s or sum(size for size, _ in pieces.values()) < self._pins[index].size:
                return
            del self._pieces[index]
            self._learn(index, combine(StoredChecksum(crc32, size) for _, (size, crc32) in sorted(pieces.items())))

    def _learn(self, index: int, crc32: int) -> None:
        self._crc32s[index] = crc32
        self.gained += self._pins[index].size

    @property
    def are_complete(self) -> bool:
        """True if all checksums are known."""
        return len(self._crc32s) == len(self._pins)

    def list_missing(self) -> list[int]:
        """Return the indexes of the entries whose checksum is not known yet."""
        return [index for index in self._pins if index not in self._crc32s]

    def save(self) -> SavedChecksums:
        """Return the checksums for the next run."""
        with self._lock:
            return SavedChecksums(dict(self._crc32s), dict(self._partial))

    def get(self, index: int) -> int:
        """Return the checksum of an artifact. If it is not known yet, get it from S3.

        Raises:
            ObjectMissingError: The artifact was deleted or has changed.
            ObjectRefusedError: S3 refuses access to the artifact.
            StorageUnavailableError: S3 did not respond correctly.
        """
        if index not in self._crc32s:
            crc32 = None if index in self._partial else combine_stored_checksums(self._pins[index])
            if crc32 is None:
                self._copy_missing_pieces(index)
            if index not in self._crc32s:
                crc32 = self._read(index) if crc32 is None else crc32
                with self._lock:
                    self._learn(index, crc32)
        return self._crc32s[index]

    def _copy_missing_pieces(self, index: int) -> None:
        size, end = self._pins[index].size, 0
        if size <= MAX_READ_SIZE or not self._copies_have_checksums:
            return
        pieces = sorted(self._pieces.get(index, {}).items())
        for start, (piece_size, _) in [*pieces, (size, (0, 0))]:
            for offset in range(end, start, CHECKSUM_COPY_SIZE):
                self._check()
                copied = min(CHECKSUM_COPY_SIZE, start - offset)
                self.record(index, offset, copied, self._copy(index, offset, copied))
                if not self._copies_have_checksums:
                    return
            end = start + piece_size

    def _read(self, index: int) -> int:
        """Return the checksum of an artifact by reading the bytes that its partial checksum does not cover."""
        pin = self._pins[index]
        offset, crc32 = self._partial.get(index, PartialChecksum(0, 0))
        while offset < pin.size:
            self._check()
            size = min(CHECKSUM_READ_SIZE, pin.size - offset)
            crc32 = artifact_store.read_crc32(pin, crc32, start=offset, size=size)
            offset += size
            self._partial[index] = PartialChecksum(offset, crc32)
            with self._lock:
                self.gained += size
        return crc32


def add_known_checksums(pins: Sequence[Pin], previous: ArchiveIndex | None) -> list[Pin]:
    """Return the pins with the CRC-32s that are known before S3 copies anything.

    The index of the previous archive contains those of unchanged artifacts. The function asks S3 for those of the
    others that it copies, until it finds an artifact without one. Then the copies return the checksums.

    Raises:
        StorageUnavailableError: S3 did not respond correctly.
    """
    known = previous.list_checksums() if previous else {}
    pins = [replace(pin, crc32=known.get((pin.key, pin.etag))) for pin in pins]
    asked = [number for number, pin in enumerate(pins) if pin.crc32 is None and is_copied(pin.size)]
    unknown = threading.Event()

    def ask(number: int) -> None:
        if unknown.is_set():
            return
        with suppress(ObjectMissingError):  # copying the artifact tells so
            pins[number] = replace(pins[number], crc32=combine_stored_checksums(pins[number]))
        if pins[number].crc32 is None:
            unknown.set()

    if asked:
        ask(asked[0])  # alone, because one without a checksum makes all other requests superfluous
        with ThreadPoolExecutor(ASKING_THREADS) as pool:
            list(pool.map(ask, asked[1:]))
    return pins


def combine(pieces: Iterable[StoredChecksum]) -> int:
    """Return the CRC-32 of consecutive pieces."""
    combined = 0
    for crc32, size in pieces:
        combined = combine_crc32(combined, crc32, size) if combined else crc32  # a checksum of 0 has no effect
    return combined


def combine_stored_checksums(pin: Pin) -> int | None:
    """Return the CRC-32 of an artifact, combined from the checksums that S3 keeps, or None if S3 does not keep any.

    Raises:
        ObjectMissingError: The artifact was deleted or has changed.
    """
    try:
        stored = artifact_store.read_stored_checksums(pin)
    except ObjectRefusedError:  # reading the artifact tells why, or succeeds
        return None
    return None if stored is None else combine(stored)
