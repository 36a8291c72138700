"""Heartbeats of a worker that holds a lease."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.export import Progress
from projects_api.storage.aws_errors import ConditionFailedError


class LeaseHeartbeat:
    """A thread that renews a lease and writes the progress.

    If the progress has not changed, a third of the lease passes between two heartbeats. If AWS is not available for two
    thirds of the lease, the lease counts as lost.

    Args:
        renew: Renews the lease and writes the progress. It raises ``ConditionFailedError`` if the lease was lost.
        progress: Returns the current progress.
        lease: The time after which the lease ends if it is not renewed.
        interval: The time between two heartbeats in seconds.

    Attributes:
        lost: Set once the lease is lost.
    """

    def __init__(
        self,
        renew: Callable[[Progress], None],
        progress: Callable[[], Progress],
        *,
        lease: timedelta,
        interval: float,
    ) -> None:
        self.lost = threading.Event()
        self._renew = renew
        self._progress = progress
        self._lease_seconds = lease.total_seconds()
        self._interval = interval

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send heartbeats while the block runs."""
        ended = threading.Event()
        thread = threading.Thread(target=self._send, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _send(self, ended: threading.Event) -> None:
        written, renewed_at = self._progress(), time.monotonic()
        try:
            while not ended.wait(self._interval):
                progress, moment = self._progress(), time.monotonic()
                age = moment - renewed_at
                if progress == written and age < self._lease_seconds / 3:
                    continue
                try:
                    self._renew(progress)
                except StorageUnavailableError:
                    if age > self._lease_seconds * 2 / 3:
                        return
                    continue
                written, renewed_at = progress, moment
        except ConditionFailedError:
            return
        finally:
            if not ended.is_set():
                self.lost.set()
