"""Lists of the API, read page by page while they are iterated."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Generic, TypeVar

from projects_client import notebook
from projects_client.api import Json

T = TypeVar("T")

#: Number of rows that a notebook shows of a list.
SHOWN_ROWS = 50


class Listing(Generic[T]):
    """Iterable over a list of the API.

    Each iteration reads the list again, one page at a time and only as far as it is consumed. A notebook shows the
    first rows as a table.

    Args:
        read_pages: Returns an iterator over the pages of the list.
        parse: Returns the object of an entry.
        items: Name of the field that holds the entries of a page.
        columns: Names of the attributes that a notebook shows.
    """

    def __init__(
        self,
        read_pages: Callable[[], Iterator[Json]],
        parse: Callable[[Json], T],
        *,
        items: str = "items",
        columns: tuple[str, ...],
    ) -> None:
        self._read_pages, self._parse, self._items, self._columns = read_pages, parse, items, columns

    def __iter__(self) -> Iterator[T]:
        for page in self._read_pages():
            for entry in page[self._items]:
                yield self._parse(entry)

    def read_page(self) -> Json:
        """Read the whole list, and return it in the shape of one page of the API."""
        entries: list[Json] = []
        page: Json = {}
        for page in self._read_pages():
            entries += page[self._items]
        return page | {self._items: entries}

    def __repr__(self) -> str:
        return f"<Listing with the columns {', '.join(self._columns)}; iterate it, or use list()>"

    def _repr_html_(self) -> str:
        rows: list[Any] = list(islice(self, SHOWN_ROWS + 1))
        note = f"The first {SHOWN_ROWS} entries. Iterate the list for all." if len(rows) > SHOWN_ROWS else ""
        if not rows:
            note = "There are no entries."
        headings = [column.replace("_", " ") for column in self._columns]
        cells = [[getattr(row, column) for column in self._columns] for row in rows[:SHOWN_ROWS]]
        return notebook.render_table(headings, cells, note=note)
