"""Output of the command line: data on stdout, and everything else on stderr."""

import functools
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from projects_client.progress import format_size

#: Columns of times, which a terminal shows to the minute.
TIME_COLUMNS = {"CREATED", "DEACTIVATED", "EXPIRES", "REVOKED", "SINCE", "TIME"}

#: Columns of free text, which may wrap.
TEXT_COLUMNS = {"NAME", "EMAIL", "DETAILS"}

#: Minimum widths of a text column. Other columns are dropped to keep the first; the narrowest terminals use the last.
MIN_TEXT_WIDTHS = (20, 8, 1)

#: Minimum width of a text column next to whole ids: a narrower one would break words such as ``name=value``.
MIN_TEXT_WIDTH_OF_WHOLE_IDS = 30

#: Width of the space between two columns of a table; one more column of space is on each side.
COLUMN_GAP = 3

#: Number of characters of a shortened id, unless several ids of a table start with the same ones.
SHORT_ID_LENGTH = 8

#: Control characters, line separators, bidirectional overrides and isolates, and halves of surrogate pairs. They move
#: the cursor, break a line, or show the text around them in another order. https://www.unicode.org/reports/tr9/
_UNSAFE_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _SpeedColumn(ProgressColumn):
    """Speed in the binary units of the sizes next to it, not in the decimal ones of rich's own column."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("?" if speed is None else f"{format_size(int(speed))}/s", style="progress.data.speed")


@functools.cache
def get_console(stream: str) -> Console:
    """Return the console of ``stdout`` or ``stderr``, which is a terminal only if the stream is one.

    ``FORCE_COLOR`` does not make a terminal of a pipe, because scripts would get a table instead of lines with tabs.
    """
    file: TextIO | None = getattr(sys, stream)
    is_terminal = file is not None and file.isatty()
    return Console(stderr=stream == "stderr", force_terminal=is_terminal, highlight=False, emoji=False, markup=False)


def print_note(sentence: str) -> None:
    """Print a sentence for the user to stderr."""
    get_console("stderr").print(Text(replace_control_characters(sentence)), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout, with escape sequences if the encoding of the terminal lacks a character."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    print(text)


def print_result(response: Any, sentence: str, *, as_json: bool) -> None:
    """Print the API's response as JSON, or a sentence for the user."""
    if as_json:
        print_json(response)
    else:
        print_note(sentence)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, drop_first: Sequence[str] = ()) -> None:
    """Print rows: as a table on a terminal, or as lines with tabs for ``cut`` and ``awk``.

    A narrow terminal shows the first characters of each id, as many as tell the ids of the table apart.

    Args:
        columns: Headings, which only a terminal shows.
        rows: Rows with one value for each column.
        drop_first: Columns that a narrow terminal drops first. The other columns follow, from the last.
    """
    cells = [[_format_cell(value) for value in row] for row in rows]
    console = get_console("stdout")
    if not console.is_terminal:
        for row in cells:
            print(*row, sep="\t")
        return
    if not cells:
        print_note("There are no entries.")
        return
    others = [name for name in columns if name not in {*TEXT_COLUMNS, *drop_first, "ID"}]
    droppable = [*drop_first, *reversed(others)]
    short_cells = _shorten_ids(columns, cells)
    layouts: list[tuple[Sequence[Sequence[str]], int, int]] = [(cells, 0, MIN_TEXT_WIDTH_OF_WHOLE_IDS)]
    layouts += [(short_cells, count, MIN_TEXT_WIDTHS[0]) for count in range(len(droppable) + 1)]
    layouts += [(short_cells, len(droppable), width) for width in MIN_TEXT_WIDTHS[1:]]
    for layout_cells, dropped_count, text_width in layouts:
        table, min_width = _create_table(columns, layout_cells, droppable[:dropped_count], text_width)
        if min_width <= console.width:
            break
    console.print(table)


def print_page(
    page: Mapping[str, Any],
    columns: Sequence[str],
    create_row: Callable[[dict[str, Any]], Sequence[Any]],
    *,
    as_json: bool,
    items: str = "items",
    drop_first: Sequence[str] = (),
) -> None:
    """Print a page of a list with cursors as JSON or as a table, with a note if the list has more entries.

    Args:
        page: The page, as the API returns it.
        columns: Headings, which only a terminal shows.
        create_row: Returns the values of an entry.
        as_json: Whether to print JSON.
        items: Name of the field that holds the entries.
        drop_first: Columns that a narrow terminal drops first.
    """
    if as_json:
        print_json(page)
        return
    print_table(columns, [create_row(entry) for entry in page[items]], drop_first=drop_first)
    if page["next_cursor"]:
        print_note("There are more entries. Leave out --limit to show all.")


def print_fields(values: Mapping[str, Any]) -> None:
    """Print the fields of one resource, one line for each."""
    console = get_console("stdout")
    if not console.is_terminal:
        print_table([], values.items())
        return
    grid = Table.grid(padding=(0, 2))
    for name, value in values.items():
        grid.add_row(Text(name, style="bold"), Text(_format_cell(value), overflow="fold"))
    console.print(grid)


def create_progress() -> Progress:
    """Return a progress display that counts bytes on stderr, disabled if stderr is not a terminal."""
    console = get_console("stderr")
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=None),
        DownloadColumn(binary_units=True),
        _SpeedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[files]}"),
        console=console,
        disable=not console.is_terminal,
    )


def format_details(values: Mapping[str, Any]) -> str:
    """Return values as one text, such as ``rows=100 columns=12``, without those that are None."""
    return " ".join(f"{name}={value}" for name, value in values.items() if value is not None)


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 file`` or ``1,200 files``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def replace_control_characters(text: str) -> str:
    """Return ``text`` without characters that control a terminal: other users choose the names of projects."""
    return _UNSAFE_CHARACTERS.sub("�", text)


def _shorten_ids(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    if "ID" not in columns:
        return cells
    position = columns.index("ID")
    ids = {row[position] for row in cells}
    longest = max(map(len, ids))
    length = next(
        (length for length in range(SHORT_ID_LENGTH, longest) if len({text[:length] for text in ids}) == len(ids)),
        longest,
    )
    return [[*row[:position], row[position][:length], *row[position + 1 :]] for row in cells]


def _create_table(
    columns: Sequence[str], cells: Sequence[Sequence[str]], dropped: Sequence[str], text_width: int
) -> tuple[Table, int]:
    """Return a table, and the width that it needs for text columns of a width."""
    table, widths = Table(box=box.SIMPLE_HEAD, pad_edge=False), []
    kept = [position for position, name in enumerate(columns) if name not in dropped]
    rows = [
        [_format_minute(row[position]) if columns[position] in TIME_COLUMNS else row[position] for position in kept]
        for row in cells
    ]
    for name, *column_cells in zip((columns[position] for position in kept), *rows, strict=True):
        longest = max(map(cell_len, (name, *column_cells)))
        is_text = name in TEXT_COLUMNS
        widths.append(min(text_width, longest) if is_text else longest)
        table.add_column(name, overflow="fold", no_wrap=not is_text, min_width=widths[-1])
    for row in rows:
        table.add_row(*map(Text, row))
    return table, sum(widths) + COLUMN_GAP * (len(widths) - 1) + 2


def _format_minute(time: str) -> str:
    """Return an ISO 8601 time of the API to the minute, such as ``2026-02-10 09:00Z``."""
    return f"{time[:10]} {time[11:16]}Z" if time else ""


def _format_cell(value: Any) -> str:
    return "" if value is None else replace_control_characters(str(value))
