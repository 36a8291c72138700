"""Progress bars on stderr, one for each stage of an operation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.progress import Progress, TaskID

from projects_client.cli import terminal
from projects_client.progress import Step, format_size

#: Waiting time after which a command without a terminal says what it waits for, in seconds.
NOTE_DELAY = 2.0

#: Note of each stage for a command without a terminal. Stages that wait for the service have one after a while only.
_NOTES = {
    "exporting": "Creating the export …",
    "downloading": "Downloading {} …",
    "uploading": "Uploading {} …",
    "importing": "Importing …",
}
_WAITING = {"exporting", "importing"}


class ProgressBars:
    """Receiver of the steps of an operation.

    Attributes:
        stage: The last stage, or nothing.
    """

    def __init__(self, progress: Progress) -> None:
        self.stage = ""
        self._progress, self._tasks = progress, dict[str, TaskID]()
        self._started, self._noted = monotonic(), set[str]()

    def __call__(self, step: Step) -> None:
        """Show a step."""
        if step.stage != self.stage:
            self.stage, self._started = step.stage, monotonic()
        if self._progress.disable:
            self._print_note(step)
            return
        if step.stage not in self._tasks:
            self._tasks[step.stage] = self._progress.add_task(step.stage, total=step.total, files=step.files)
        self._progress.update(self._tasks[step.stage], completed=step.done, total=step.total, files=step.files)

    def stop(self) -> None:
        """Remove the bars, so that text can follow."""
        self._progress.stop()

    def _print_note(self, step: Step) -> None:
        is_due = step.stage not in _WAITING or monotonic() - self._started >= NOTE_DELAY
        if step.stage in _NOTES and step.stage not in self._noted and is_due:
            self._noted.add(step.stage)
            terminal.print_note(_NOTES[step.stage].format(format_size(step.total or 0)))


@contextmanager
def show_progress(describe_state: Callable[[str], str]) -> Iterator[ProgressBars]:
    """Show progress bars, and print the state of the operation when Ctrl-C or SIGTERM ends the program.

    Args:
        describe_state: Returns a sentence for the last stage.
    """
    with terminal.create_progress() as progress:
        bars = ProgressBars(progress)
        try:
            yield bars
        except (KeyboardInterrupt, SystemExit):
            bars.stop()
            terminal.print_note(f"Stopped. {describe_state(bars.stage)}")
            raise
