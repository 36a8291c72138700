"""Output of the command line: data on stdout, and everything else on stderr."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

KIB = 1024

#: Columns of times, which a terminal shows to the minute.
TIME_COLUMNS = {"CREATED", "SINCE", "TIME"}

#: Columns of free text, which may wrap.
TEXT_COLUMNS = {"NAME", "EMAIL", "DETAILS"}

#: Minimum width of a text column; other columns are dropped to keep it.
MIN_TEXT_WIDTH = 20

out = Console(highlight=False, emoji=False, markup=False)
err = Console(stderr=True, highlight=False, emoji=False, markup=False)


def print_note(sentence: str) -> None:
    """Print a sentence for the user to stderr."""
    err.print(Text(replace_control_characters(sentence)), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def print_result(response: Any, sentence: str, *, as_json: bool) -> None:
    """Print the API's response as JSON, or a sentence for the user."""
    if as_json:
        print_json(response)
    else:
        print_note(sentence)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, drop_first: Sequence[str] = ("ID",)) -> None:
    """Print rows: as a table on a terminal, or as lines with tabs for ``cut`` and ``awk``.

    Args:
        columns: Headings, which only a terminal shows.
        rows: Rows with one value for each column.
        drop_first: Columns that a narrow terminal drops first. The other columns follow, from the last.
    """
    cells = [[_format_cell(value) for value in row] for row in rows]
    if not out.is_terminal:
        for row in cells:
            print(*row, sep="\t")
        return
    if not cells:
        print_note("There are no entries.")
        return
    others = [name for name in columns if name not in TEXT_COLUMNS and name not in drop_first]
    for dropped in ((), *((*drop_first, *others[count:]) for count in range(len(others), -1, -1))):
        table = _create_table(columns, cells, dropped=dropped)
        if out.measure(table, options=out.options.update(width=sys.maxsize)).minimum <= out.width:
            break
    out.print(table)


def print_more_hint(page: Mapping[str, Any]) -> None:
    """Print a note if a list has more entries after a page."""
    if page["next_cursor"]:
        print_note("There are more entries. Leave out --limit to show all.")


def print_fields(values: Mapping[str, Any]) -> None:
    """Print the fields of one resource, one line for each."""
    if not out.is_terminal:
        print_table([], values.items())
        return
    grid = Table.grid(padding=(0, 2))
    for name, value in values.items():
        grid.add_row(Text(name, style="bold"), Text(_format_cell(value), overflow="fold"))
    out.print(grid)


def create_progress() -> Progress:
    """Return a progress display that counts bytes on stderr, disabled if stderr is not a terminal."""
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=None),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[files]}"),
        console=err,
        disable=not err.is_terminal,
    )


def format_size(number: int) -> str:
    """Return a number of bytes with a binary unit, such as ``1.5 MiB``."""
    value, unit = float(number), "bytes"
    for larger_unit in ("KiB", "MiB", "GiB", "TiB"):
        if value < KIB:
            break
        value, unit = value / KIB, larger_unit
    return f"{number} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 file`` or ``1,200 files``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def replace_control_characters(text: str) -> str:
    """Return ``text`` without terminal control sequences: other users choose the names of projects."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _create_table(columns: Sequence[str], cells: Sequence[Sequence[str]], *, dropped: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        if name not in dropped:
            is_text = name in TEXT_COLUMNS
            table.add_column(name, overflow="fold", no_wrap=not is_text, min_width=MIN_TEXT_WIDTH if is_text else None)
    for row in cells:
        named_cells = zip(columns, row, strict=True)
        table.add_row(
            *(
                Text(_format_minute(cell) if name in TIME_COLUMNS else cell)
                for name, cell in named_cells
                if name not in dropped
            )
        )
    return table


def _format_minute(time: str) -> str:
    """Return an ISO 8601 time of the API to the minute, such as ``2026-02-10 09:00Z``."""
    return f"{time[:10]} {time[11:16]}Z" if time else ""


def _format_cell(value: Any) -> str:
    return "" if value is None else replace_control_characters(str(value))
