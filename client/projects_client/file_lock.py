"""Lock that prevents two programs from writing the same file."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

#: Errors of file systems without locks, such as some network file systems: flock(2) and the Linux NFS client.
_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL})


class FileLockedError(Exception):
    """Lock that another program holds."""


@contextmanager
def lock_file(path: Path, *, on_unsupported: Callable[[], None]) -> Iterator[None]:
    """Hold a lock while the body of the ``with`` statement runs.

    The lock file exists only while the lock is held.

    Args:
        path: The lock file.
        on_unsupported: Called if the file system has no locks. The body then runs without one.

    Raises:
        FileLockedError: Another program holds the lock.
        OSError: The lock file can't be created.
    """
    descriptor = _acquire(path, on_unsupported)
    try:
        yield
    finally:
        if sys.platform == "win32":  # an open file can't be removed
            os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        if sys.platform != "win32":
            os.close(descriptor)


def _acquire(path: Path, on_unsupported: Callable[[], None]) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                on_unsupported()
                return descriptor
            os.close(descriptor)
            if isinstance(error, BlockingIOError | PermissionError):
                raise FileLockedError from None
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # the previous holder removed this file after it was opened


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
