"""The CRC-32s of the artifacts in an archive."""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from projects_api.archive.crc32 import combine_crc32
from projects_api.entities.snapshot import Pin
from projects_api.storage.s3 import artifact_store

#: Bytes of an artifact that one request reads for its checksum. The work can stop between two requests.
CHECKSUM_READ_SIZE = 64 << 20


class PartialChecksum(NamedTuple):
    """The CRC-32 of the beginning of an artifact.

    Attributes:
        offset: The number of bytes that the checksum covers.
        crc32: The CRC-32 of these bytes.
    """

    offset: int
    crc32: int


class ArtifactChecksums:
    """The CRC-32s of the artifacts in an archive, by the index of their entry.

    The CRC-32 of an artifact comes from the first of these sources that has it:

    1. The bytes of the artifact, if the worker had to read them for another reason (``record``).
    2. The checksums that S3 keeps.
    3. The bytes of the artifact, read for this purpose only. A later run continues where an earlier one stopped.

    Args:
        pins: The pins of the artifacts, by the index of their entry.
        check: Called before each read. It raises an error to stop the work.
        partial: The value of ``partial`` at the end of an earlier run.

    Attributes:
        partial: The checksums of the artifacts that were read for this purpose only, by the index of their entry.
        bytes_read: The number of bytes that this run has read for this purpose only.
    """

    def __init__(
        self, pins: Mapping[int, Pin], *, check: Callable[[], None], partial: Mapping[int, PartialChecksum]
    ) -> None:
        self.partial = dict(partial)
        self.bytes_read = 0
        self._pins = pins
        self._check = check
        self._lock = threading.Lock()
        #: The CRC-32 of no bytes is 0.
        self._crc32s = {index: 0 for index, pin in pins.items() if not pin.size}

    def record(self, index: int, crc32: int) -> None:
        """Record the checksum of an artifact whose bytes the caller has read."""
        self._crc32s[index] = crc32

    def list_missing(self) -> list[int]:
        """Return the indexes of the entries whose checksum is not known yet."""
        return [index for index in self._pins if index not in self._crc32s]

    def get(self, index: int) -> int:
        """Return the checksum of an artifact. If it is not known yet, get it from S3.

        Raises:
            ObjectMissingError: The artifact was deleted or has changed.
            StorageUnavailableError: S3 did not respond correctly.
        """
        if index not in self._crc32s:
            stored = None if index in self.partial else combine_stored_checksums(self._pins[index])
            self._crc32s[index] = self._read(index) if stored is None else stored
        return self._crc32s[index]

    def _read(self, index: int) -> int:
        """Return the checksum of an artifact by reading the bytes that its partial checksum does not cover."""
        pin = self._pins[index]
        offset, crc32 = self.partial.get(index, PartialChecksum(0, 0))
        while offset < pin.size:
            self._check()
            size = min(CHECKSUM_READ_SIZE, pin.size - offset)
            crc32 = artifact_store.read_crc32(pin, crc32, start=offset, size=size)
            offset += size
            self.partial[index] = PartialChecksum(offset, crc32)
            with self._lock:
                self.bytes_read += size
        return crc32


def combine_stored_checksums(pin: Pin) -> int | None:
    """Return the CRC-32 of an artifact, combined from the checksums that S3 keeps, or None if S3 does not keep any.

    Raises:
        ObjectMissingError: The artifact was deleted or has changed.
    """
    stored = artifact_store.read_stored_checksums(pin)
    if stored is None:
        return None
    combined = 0
    for crc32, size in stored:
        combined = combine_crc32(combined, crc32, size) if combined else crc32  # a checksum of 0 has no effect
    return combined
