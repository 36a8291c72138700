"""The CRC-32s of the artifacts in an archive."""

import json
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

from projects_api.domain.exports.stored_checksums import combine, combine_stored_checksums
from projects_api.entities.content import Pin
from projects_api.storage.s3 import artifact_store
from projects_api.storage.s3.artifact_store import StoredChecksum

#: Bytes of an artifact that one request reads for its checksum. The work can stop between two requests.
CHECKSUM_READ_SIZE = 64 << 20


#: Largest artifact that the worker reads instead of having S3 copy it for its checksum, in bytes.
MAX_READ_SIZE = 1 << 20

#: Bytes of an artifact that one request copies for its checksum.
CHECKSUM_COPY_SIZE = 256 << 20


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

    The first of these sources that has the CRC-32 of an artifact is used. During the assembly:

    1. The pin of the artifact (``stored_checksums.add_known_checksums``).
    2. The artifact's pieces. S3 returns the CRC-32 of each one that it copies, and the worker computes the CRC-32 of
       each one that it reads. The CRC-32 of the artifact is the combination of these (``record``).

    Some pieces are missing if the server returns no checksums of copies, or if an earlier run has used them in a seam
    or in a buffered part. At the end, ``get`` then tries these:

    3. The checksum that S3 keeps of the artifact.
    4. Another copy of the missing pieces, which S3 deletes again. The worker itself reads small artifacts.
    5. The bytes of the artifact, read for this purpose only. A later run continues where an earlier one stopped.

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
        self._server_returns_checksums = True
        self._lock = threading.Lock()
        self._partial = dict(saved.partial) if saved else {}
        #: The CRC-32 of no bytes is 0.
        self._crc32s = {index: 0 for index, pin in pins.items() if not pin.size}
        self._crc32s |= {index: pin.crc32 for index, pin in pins.items() if pin.crc32 is not None}
        self._crc32s |= saved.crc32s if saved else {}
        #: The size and the CRC-32 of each piece of an artifact, by its offset.
        self._pieces: dict[int, dict[int, tuple[int, int]]] = {}

    def record(self, index: int, start: int, size: int, crc32: int | None) -> None:
        """Record the checksum of a piece of an artifact. It is None if the server does not return any."""
        if crc32 is None:
            self._server_returns_checksums = False
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
        if size <= MAX_READ_SIZE or not self._server_returns_checksums:
            return
        pieces = sorted(self._pieces.get(index, {}).items())
        for start, (piece_size, _) in [*pieces, (size, (0, 0))]:
            for offset in range(end, start, CHECKSUM_COPY_SIZE):
                self._check()
                copied = min(CHECKSUM_COPY_SIZE, start - offset)
                self.record(index, offset, copied, self._copy(index, offset, copied))
                if not self._server_returns_checksums:
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
