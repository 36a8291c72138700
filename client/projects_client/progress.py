"""Progress of long operations, as the client reports it to its callers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Step:
    """Progress of one stage of an operation.

    Attributes:
        stage: ``exporting``, ``downloading``, ``checking``, ``uploading`` or ``importing``.
        done: Number of bytes that are done.
        total: Number of all bytes, or None if it is not known yet.
        files: Number of files that are done and of all files, such as ``2/3 files``, or nothing.
    """

    stage: str
    done: int
    total: int | None
    files: str = ""


#: Called with each step.
OnProgress: TypeAlias = Callable[[Step], object]

#: Called with a sentence for the user.
OnNote: TypeAlias = Callable[[str], object]


def ignore(_: object) -> None:
    """Do nothing with a step or a note."""


def format_files(done: int, total: int) -> str:
    """Return a number of files that are done, such as ``2/3 files``."""
    return f"{done}/{total:,} {'file' if total == 1 else 'files'}" if total else ""


def format_size(number: int) -> str:
    """Return a number of bytes with a binary unit, such as ``1.5 MiB``."""
    value, unit = float(number), "bytes"
    for larger_unit in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:  # noqa: PLR2004 - a binary unit
            break
        value, unit = value / 1024, larger_unit
    return f"{number} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
