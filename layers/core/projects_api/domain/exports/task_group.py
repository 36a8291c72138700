"""Groups of tasks in thread pools that stop together when one of them fails."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class CancelledError(Exception):
    """The work was stopped before its end."""


class TaskGroup:
    """Thread pools for the tasks of one job, as a context manager.

    Once a task has failed or ``should_continue`` has returned False, no other task starts, and ``wait_for`` raises an
    error.

    Args:
        should_continue: Called before each task. Returns False to stop the work.
        pools: The number of threads of each pool, by the pool's name.
    """

    def __init__(self, should_continue: Callable[[], bool], pools: Mapping[str, int]) -> None:
        self._should_continue = should_continue
        self._pools = {name: ThreadPoolExecutor(size) for name, size in pools.items()}
        self._exit_stack = ExitStack()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        for pool in self._pools.values():
            self._exit_stack.enter_context(pool)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._exit_stack.close()

    def submit(self, pool: str, task: Callable[..., object], *args: object) -> Future[None]:
        """Queue a task in a pool. The task does not run if the group stops before."""
        return self._pools[pool].submit(self._run, task, *args)

    def check(self) -> None:
        """Check whether the work must stop. Long tasks call this method regularly.

        Raises:
            CancelledError: A task has failed, or ``should_continue`` returned False.
        """
        if self._stop.is_set() or not self._should_continue():
            self._stop.set()
            raise CancelledError

    def _run(self, task: Callable[..., object], *args: object) -> None:
        self.check()
        try:
            task(*args)
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
            self._stop.set()
            raise

    def wait_for(self, tasks: Iterable[Future[None]]) -> None:
        """Wait until all of ``tasks`` are done or one of them has failed.

        Raises:
            CancelledError: ``should_continue`` returned False.
            BaseException: The error of the first task of the group that failed.
        """
        done, _ = wait(list(tasks), return_when=FIRST_EXCEPTION)
        if any(task.exception() for task in done):
            raise self._failure or CancelledError
