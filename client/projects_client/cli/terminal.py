"""What people and scripts see: data on stdout, everything else on stderr."""

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

#: Columns of times, which a terminal shows to the minute, and of texts of any length, which may take several lines.
TIMES = {"CREATED", "SINCE", "TIME"}
TEXTS = {"NAME", "EMAIL", "DETAILS"}

#: The least width of a column of texts, for which other columns are left out.
LEAST = 20

out = Console(highlight=False, emoji=False, markup=False)
err = Console(stderr=True, highlight=False, emoji=False, markup=False)


def note(sentence: str) -> None:
    """Tells the user something, on stderr."""
    err.print(Text(printable(sentence)), soft_wrap=True)


def data(value: Any) -> None:
    """Gives a script what it asked for with ``--json``."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def done(answer: Any, sentence: str, *, as_json: bool) -> None:
    """Says that something was done: the API's answer to a script, a sentence to a person."""
    if as_json:
        data(answer)
    else:
        note(sentence)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, wide: Sequence[str] = ("ID",)) -> None:
    """Shows rows: as a table on a terminal, elsewhere a line each with tabs between, for ``cut`` and ``awk``.

    Args:
        columns: The headings, shown on a terminal alone.
        rows: A value for each of them.
        wide: The columns that a terminal without room for all leaves out first; then go others, from the last.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not out.is_terminal:
        for row in cells:
            print(*row, sep="\t")
        return
    if not cells:
        note("There are none.")
        return
    others = [name for name in columns if name not in TEXTS and name not in wide]
    for without in ((), *((*wide, *others[count:]) for count in range(len(others), -1, -1))):
        shown = _drawn(columns, cells, without=without)
        if out.measure(shown, options=out.options.update(width=sys.maxsize)).minimum <= out.width:
            break
    out.print(shown)


def _drawn(columns: Sequence[str], cells: Sequence[Sequence[str]], *, without: Sequence[str] = ()) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        if name not in without:
            text = name in TEXTS
            shown.add_column(name, overflow="fold", no_wrap=not text, min_width=LEAST if text else None)
    for row in cells:
        named = zip(columns, row, strict=True)
        shown.add_row(*(Text(_minute(cell) if name in TIMES else cell) for name, cell in named if name not in without))
    return shown


def more(page: Mapping[str, Any]) -> None:
    """Says that a list goes on, where its page says so."""
    if page["next_cursor"]:
        note("More follow: leave out --limit for all.")


def fields(values: Mapping[str, Any]) -> None:
    """Shows one thing, a field a line."""
    if not out.is_terminal:
        table([], values.items())
        return
    shown = Table.grid(padding=(0, 2))
    for name, value in values.items():
        shown.add_row(Text(name, style="bold"), Text(_cell(value), overflow="fold"))
    out.print(shown)


def progress() -> Progress:
    """A bar that counts bytes, on stderr; nothing where that is no terminal."""
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


def size(number: int) -> str:
    """A number of bytes as people read it."""
    value, unit = float(number), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < KIB:
            break
        value, unit = value / KIB, larger
    return f"{number} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def plural(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def printable(text: str) -> str:
    """``text`` without what would steer the terminal: other people name projects."""
    return "".join(character if character.isprintable() else "�" for character in text)


def _minute(time: str) -> str:
    """A time of the API's as people read it."""
    return f"{time[:10]} {time[11:16]}Z" if time else ""


def _cell(value: Any) -> str:
    return "" if value is None else printable(str(value))
