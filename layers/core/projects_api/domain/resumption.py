"""Resumption of pending work: one item that fails does not keep the others from being resumed."""

from collections.abc import Callable, Iterable

from aws_lambda_powertools import Logger

from projects_api.entities.errors import StorageUnavailableError

logger = Logger(child=True)


def resume_each[T](
    items: Iterable[T], resume: Callable[[T], int], *, should_continue: Callable[[], bool] = lambda: True
) -> int:
    """Call ``resume`` with each item, also after it has failed for one.

    Args:
        items: The items, the most urgent first.
        resume: Resumes an item and returns the number of things it has done.
        should_continue: Called between two items. Returns False when the time is running out: the next run continues.

    Returns:
        The sum of the numbers.

    Raises:
        Exception: The first error of ``resume``, after all other items.
    """
    resumed = 0
    failure: Exception | None = None
    for item in items:
        try:
            resumed += resume(item)
        except Exception as error:
            if not isinstance(error, StorageUnavailableError):
                logger.exception("Pending work cannot be resumed")
            failure = failure or error
        if not should_continue():
            break
    if failure:
        raise failure
    return resumed
