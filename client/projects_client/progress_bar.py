"""Progress bar for notebooks and for programs on a terminal."""

import sys
from time import monotonic
from typing import Any

from projects_client.progress import Step, format_size

#: Time between two updates, in seconds.
UPDATE_INTERVAL = 0.2

#: Number of characters of a bar.
WIDTH = 24


class ProgressBar:
    """Progress of an operation, one line for each stage: ``uploading ━━━━━━    45.0 MiB of 60.0 MiB, 9.1 MiB/s``.

    A notebook shows the lines in the output of the cell, a terminal shows them on stderr, and a log gets each line when
    its stage is complete.

    Example:
        >>> project.export("churn.zip", progress=ProgressBar())
    """

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._stage, self._is_complete = "", False
        self._started_at, self._first_done, self._updated_at = 0.0, 0, 0.0
        self._output: Any = None

    def __call__(self, step: Step) -> None:
        """Show a step, unless the last update was a moment ago."""
        now, is_complete = monotonic(), step.done == step.total
        if step.stage != self._stage:
            self._stage, self._started_at, self._first_done = step.stage, now, step.done
        elif self._is_complete if is_complete else now - self._updated_at < UPDATE_INTERVAL:
            return
        self._updated_at, self._is_complete = now, is_complete
        self._lines[step.stage] = _format_line(step, step.done - self._first_done, now - self._started_at)
        self._show()

    def _show(self) -> None:
        display = _find_display()
        if display is not None:
            content = {"text/plain": "\n".join(self._lines.values())}
            if self._output is None:
                self._output = display(content, raw=True, display_id=True)
            else:
                self._output.update(content, raw=True)
            return
        is_terminal = sys.stderr.isatty()
        if is_terminal or self._is_complete:
            start = "\r\033[K" if is_terminal else ""
            sys.stderr.write(start + self._lines[self._stage] + ("\n" if self._is_complete else ""))
            sys.stderr.flush()


def _format_line(step: Step, done: int, seconds: float) -> str:
    bar = "━" * round(step.done / step.total * WIDTH) if step.total else ""
    parts = [f"{format_size(step.done)} of {format_size(step.total)}" if step.total else format_size(step.done)]
    if done > 0 and seconds > 0:
        parts.append(f"{format_size(int(done / seconds))}/s")
    if step.files:
        parts.append(step.files)
    return f"{step.stage:<12} {bar:<{WIDTH}} {', '.join(parts)}"


def _find_display() -> Any:
    """Return IPython's function that shows an object if this is the kernel of a notebook, or None."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if ipython is None or not hasattr(shell, "kernel"):
        return None
    return ipython.display.display
