"""Creating, reading, changing and deleting projects."""

from collections.abc import Callable

from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage.aws_errors import ConditionFailedError

#: How often a change is decided anew when what it was decided on has changed meanwhile.
ATTEMPTS = 5


def retry_on_conflict[T](attempt: Callable[[], T]) -> T:
    """What ``attempt`` returns, which reads, decides and writes; it is called again when what it had read has changed.

    Raises:
        StorageUnavailableError: It never stood still.
    """
    for _ in range(ATTEMPTS):
        try:
            return attempt()
        except ConditionFailedError:
            continue
    raise StorageUnavailableError
