"""Groups of tasks in thread pools that stop together when one of them fails."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage.aws_errors import ThrottledError

#: Attempts of a task that AWS throttles, the first one included.
MAX_ATTEMPTS = 8

#: Longest pause after the first and after any attempt, in seconds. The pause is drawn at random up to its limit, which
#: doubles with each attempt. S3 needs minutes to scale up for a new load
#: (https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html).
FIRST_PAUSE, MAX_PAUSE = 1.0, 20.0


class CancelledError(Exception):
    """The work was stopped before its end."""


class TaskGroup:
    """Thread pools for the tasks of one job, as a context manager.

    Once a task has failed or ``should_continue`` has returned False, no other task starts, and ``wait_for`` and
    ``join`` raise an error. A task that AWS throttles is repeated after a pause. It must therefore be safe to repeat.

    Args:
        should_continue: Called before each task. Returns False to stop the work.
        pools: The number of threads of each pool, by the pool's name.
    """

    def __init__(self, should_continue: Callable[[], bool], pools: Mapping[str, int]) -> None:
        self._should_continue = should_continue
        self._sizes = pools
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._exit_stack = ExitStack()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._unfinished = 0
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._pools = {
            name: self._exit_stack.enter_context(ThreadPoolExecutor(size)) for name, size in self._sizes.items()
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._exit_stack.close()

    def submit(self, pool: str, task: Callable[..., object], *args: object) -> Future[None]:
        """Queue a task in a pool. The task does not run if the group stops before. A task can submit other tasks."""
        with self._changed:
            self._unfinished += 1
        return self._pools[pool].submit(self._run, task, *args)

    def call[T](self, task: Callable[..., T], *args: object) -> T:
        """Run a task in the calling thread and return its result."""
        attempt = 1
        while True:
            self.check()
            try:
                return task(*args)
            except ThrottledError:
                if attempt == MAX_ATTEMPTS:
                    raise StorageUnavailableError from None  # so that no task around this one is repeated
                self._pause(random.uniform(0, min(MAX_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))))  # noqa: S311 - jitter
                attempt += 1

    def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the group may work."""
        while seconds > 0:
            self.check()
            time.sleep(min(seconds, 1))
            seconds -= 1

    def check(self) -> None:
        """Check whether the work must stop. Long tasks call this method regularly.

        Raises:
            CancelledError: A task has failed, or ``should_continue`` returned False.
        """
        if self._stop.is_set() or not self._should_continue():
            self._stop.set()
            raise CancelledError

    def _run(self, task: Callable[..., object], *args: object) -> None:
        try:
            self.call(task, *args)
        except BaseException as error:
            with self._changed:
                if self._failure is None or isinstance(self._failure, CancelledError):
                    self._failure = error
            self._stop.set()
            raise
        finally:
            with self._changed:
                self._unfinished -= 1
                self._changed.notify_all()

    def wait_for(self, tasks: Iterable[Future[None]]) -> None:
        """Wait until all of ``tasks`` are done or one of them has failed.

        Raises:
            CancelledError: ``should_continue`` returned False.
            BaseException: The error of the first task of the group that failed.
        """
        done, _ = wait(list(tasks), return_when=FIRST_EXCEPTION)
        if any(task.exception() for task in done):
            raise self._failure or CancelledError

    def join(self) -> None:
        """Wait until all tasks are done, with those that tasks submit, or until one of them has failed.

        Raises:
            CancelledError: ``should_continue`` returned False.
            BaseException: The error of the first task that failed.
        """
        self.wait_until(lambda: False)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds after a task, until all tasks are done, or until one of them has failed.

        Raises:
            CancelledError: ``should_continue`` returned False.
            BaseException: The error of the first task that failed.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._unfinished or self._failure or condition())
            if self._failure:
                raise self._failure
