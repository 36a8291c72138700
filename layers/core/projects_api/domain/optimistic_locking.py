"""Optimistic locking: read, decide, write on a condition, and start again if another writer came first."""

from collections.abc import Callable

from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage.aws_errors import ConditionFailedError

#: Number of attempts, including the first.
MAX_ATTEMPTS = 5


def retry_on_conflict[T](attempt: Callable[[], T]) -> T:
    """Call ``attempt`` until its write does not conflict with another writer, and return its result.

    Args:
        attempt: Reads, decides and writes. It raises ``ConditionFailedError`` if the items have changed since the read.

    Raises:
        StorageUnavailableError: ``MAX_ATTEMPTS`` attempts conflicted.
    """
    for _ in range(MAX_ATTEMPTS):
        try:
            return attempt()
        except ConditionFailedError:
            continue
    raise StorageUnavailableError
