"""Lists of the API, read page by page, and only as far as they are used."""

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from threading import RLock
from typing import Any, Protocol, TypeVar, overload

from projects_client import notebook
from projects_client.api import Json
from projects_client.records import parse_times


class _HasRaw(Protocol):
    @property
    def raw(self) -> Json: ...


T = TypeVar("T", bound=_HasRaw)

#: Number of rows that a notebook shows of a list.
SHOWN_ROWS = 50


class Listing(Sequence[T]):
    """Sequence of the entries of a list of the API, which are read when they are first used, and then remembered.

    A loop, an index and a slice read only the pages that they need; ``len()`` and negative indexes read the whole list.
    Call the method that returned the list again to see what has changed since. A notebook shows the first rows as a
    table.

    Args:
        read_pages: Returns an iterator over the pages of the list.
        parse: Returns the object of an entry.
        items: Name of the field that holds the entries of a page.
        columns: Names of the attributes that a notebook shows.

    Example:
        >>> newest = project.timeline(order="desc")[0]
        >>> pandas.DataFrame(project.timeline().to_dicts())
    """

    def __init__(
        self,
        read_pages: Callable[[], Iterator[Json]],
        parse: Callable[[Any], T],
        *,
        items: str = "items",
        columns: tuple[str, ...],
    ) -> None:
        self._read_pages, self._parse, self._items, self._columns = read_pages, parse, items, columns
        self._entries: list[T] = []
        self._pages: Iterator[Json] | None = None
        self._is_complete = False
        self._lock = RLock()  # threads may share a list

    def __iter__(self) -> Iterator[T]:
        for position in count():
            if not self._has(position):
                return
            yield self._entries[position]

    def __len__(self) -> int:
        self._read_all()
        return len(self._entries)

    def __bool__(self) -> bool:
        return self._has(0)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "Listing[T]": ...

    def __getitem__(self, index: int | slice) -> "T | Listing[T]":
        if isinstance(index, slice):
            start, stop = index.start or 0, -1 if index.stop is None else index.stop
            if min(start, stop) < 0 or (index.step or 1) < 0:
                self._read_all()
            self._has(stop - 1)
            page = {"items": self._entries[index]}
            return Listing(partial(iter, (page,)), _keep, columns=self._columns)
        position = operator.index(index)
        if position < 0:
            self._read_all()
        try:
            self._has(position)
            return self._entries[position]
        except IndexError:
            raise IndexError(f"The list has {len(self._entries)} entries, and none at {index}.") from None

    def to_dicts(self) -> list[Json]:
        """Return each entry as the API's JSON with its times as datetimes, for ``DataFrame`` of pandas or polars.

        Signed URLs are left out, because tables are often saved or shared.
        """
        rows = [parse_times(entry.raw) for entry in self]
        return [{name: value for name, value in row.items() if name != "download_url"} for row in rows]

    def read_page(self) -> Json:
        """Read the whole list, and return it in the shape of one page of the API."""
        entries: list[Json] = []
        page: Json = {}
        for page in self._read_pages():
            entries += page[self._items]
        return page | {self._items: entries}

    def __repr__(self) -> str:
        return f"<Listing with the columns {', '.join(self._columns)}; use it as a list, or its to_dicts()>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle how to read the list: another process reads it again."""
        return partial(Listing, items=self._items, columns=self._columns), (self._read_pages, self._parse)

    def _repr_html_(self) -> str:
        rows = list(self[: SHOWN_ROWS + 1])
        note = f"The first {SHOWN_ROWS} entries. Iterate the list for all." if len(rows) > SHOWN_ROWS else ""
        if not rows:
            note = "There are no entries."
        headings = [column.replace("_", " ") for column in self._columns]
        cells = [[getattr(row, column) for column in self._columns] for row in rows[:SHOWN_ROWS]]
        return notebook.render_table(headings, cells, note=note)

    def _has(self, position: int) -> bool:
        """Read pages until there is an entry at a position, and return whether there is one."""
        with self._lock:
            while position >= len(self._entries) and not self._is_complete:
                self._read_next_page()
            return position < len(self._entries)

    def _read_all(self) -> None:
        with self._lock:
            while not self._is_complete:
                self._read_next_page()

    def _read_next_page(self) -> None:
        if self._pages is None:
            self._pages, self._entries = self._read_pages(), []
        try:
            page = next(self._pages, None)
            entries = [] if page is None else [self._parse(entry) for entry in page[self._items]]
        except BaseException:
            self._pages = None  # an iterator that failed looks complete: the next access reads the list from its start
            raise
        self._entries += entries
        self._is_complete = page is None


def _keep(entry: Any) -> Any:
    return entry
