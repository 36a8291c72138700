"""The CRC-32s of artifacts that are known without reading or copying them."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from aws_lambda_powertools import Logger

from projects_api.archive.archive_index import ArchiveIndex
from projects_api.archive.crc32 import combine_crc32
from projects_api.archive.plan import is_copied
from projects_api.domain.exports.task_group import TaskGroup
from projects_api.entities.content import Pin
from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage.aws_errors import ObjectMissingError, ObjectRefusedError, ThrottledError
from projects_api.storage.s3 import artifact_store
from projects_api.storage.s3.artifact_store import StoredChecksum

logger = Logger(child=True)

#: Number of artifacts whose checksums the worker requests in parallel.
REQUEST_THREADS = 16


def add_known_checksums(
    pins: Sequence[Pin], previous: ArchiveIndex | None, should_continue: Callable[[], bool]
) -> list[Pin]:
    """Return the pins with the CRC-32s that are known before S3 copies anything.

    The index of the previous archive lists those of unchanged artifacts. S3 may keep those of others. It is asked about
    the artifacts that it copies, but only until it returns no CRC-32 of one: the copies then return those of all.

    Args:
        pins: The pins of the artifacts.
        previous: The index of the previous archive, if there is one.
        should_continue: Called before each request. Returns False to stop the work.

    Raises:
        CancelledError: ``should_continue`` returned False.
        StorageUnavailableError: S3 still requests a lower rate of requests after several attempts.
    """
    known = previous.list_checksums() if previous else {}
    pins = [replace(pin, crc32=known.get((pin.key, pin.etag))) for pin in pins]
    copied = [number for number, pin in enumerate(pins) if pin.crc32 is None and is_copied(pin.size)]
    found_unknown = threading.Event()

    def request_checksum(number: int) -> None:
        if found_unknown.is_set():
            return
        try:
            pins[number] = replace(pins[number], crc32=combine_stored_checksums(pins[number]))
        except ThrottledError:
            raise
        except (ObjectMissingError, StorageUnavailableError) as error:  # the copy returns the checksum, or the reason
            logger.info("The stored checksum of an artifact is not used: %s", type(error).__name__)
        if pins[number].crc32 is None:
            found_unknown.set()

    with TaskGroup(should_continue, {"request": REQUEST_THREADS}) as group:
        for number in copied[:1]:  # alone: without a checksum, it makes the other requests superfluous
            group.call(request_checksum, number)
        for number in copied[1:]:
            group.submit("request", request_checksum, number)
        group.join()
    return pins


def combine(pieces: Iterable[StoredChecksum]) -> int:
    """Return the CRC-32 of consecutive pieces."""
    combined = 0
    for crc32, size in pieces:
        combined = combine_crc32(combined, crc32, size)
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
