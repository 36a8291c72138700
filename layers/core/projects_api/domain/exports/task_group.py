"""Threads that work on one thing together: when one fails, all end."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class CancelledError(Exception):
    """The work is to end before it is done."""


class TaskGroup:
    """Pools of threads for one piece of work, there until the end of a ``with`` block.

    Once a task has failed, or ``should_continue`` has said no, no other task begins, and whoever waits for one is told.

    Args:
        should_continue: Asked before each task.
        pools: How many threads each pool has, by its name.
    """

    def __init__(self, should_continue: Callable[[], bool], pools: Mapping[str, int]) -> None:
        self._keep_going = should_continue
        self._pools = {name: ThreadPoolExecutor(size) for name, size in pools.items()}
        self._opened = ExitStack()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        for pool in self._pools.values():
            self._opened.enter_context(pool)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._opened.close()

    def submit(self, pool: str, task: Callable[..., object], *args: object) -> Future[None]:
        """Gives a pool a task, which it does unless all is to end."""
        return self._pools[pool].submit(self._do, task, *args)

    def check(self) -> None:
        """What a long task asks now and then.

        Raises:
            CancelledError: All is to end.
        """
        if self._stop.is_set() or not self._keep_going():
            self._stop.set()
            raise CancelledError

    def _do(self, task: Callable[..., object], *args: object) -> None:
        self.check()
        try:
            task(*args)
        except BaseException as error:
            with self._lock:
                self._failure = self._failure or error
            self._stop.set()
            raise

    def wait_for(self, tasks: Iterable[Future[None]]) -> None:
        """Waits until all of ``tasks`` are done.

        Raises:
            CancelledError: ``should_continue`` said no.
            BaseException: What made the first of all tasks fail.
        """
        done, _ = wait(list(tasks), return_when=FIRST_EXCEPTION)
        if any(task.exception() for task in done):
            raise self._failure or CancelledError
