"""The conditions under which the worker finishes the parts of an archive."""

import threading
from collections.abc import Container, Mapping

from projects_api.archive.parts import (
    CopiedPart,
    Part,
    Range,
    Seam,
    Source,
    copied_entry,
    is_read,
    list_headers,
    needs_all_checksums,
    size_of,
)

#: Bytes of seams whose files are read before S3 has copied the rest of the seam. The manifest needs the checksums of
#: these files, and the worker can encode it while S3 copies.
READ_AHEAD_SIZE = 8 << 20


class PartConditions:
    """The conditions of the parts of an archive, and which of them are met. Several threads can use an object.

    A copied part has none. Every other part waits for all of these:

    - the copies of the files whose headers it contains, unless their checksums are known,
    - all checksums, if it contains bytes of the manifest or of the directory,
    - the copy that a seam contains,
    - its files, if they are read ahead.

    Args:
        parts: The parts to assemble, by their index in the plan.
        known: The indexes of the entries whose checksums are known.

    Attributes:
        unconditional: The indexes of the parts, apart from copied ones, that have no conditions.
        last_parts: The indexes of the parts that wait for all checksums.
        read_ahead: The indexes of the parts whose files are read before the other conditions are met.
    """

    def __init__(self, parts: Mapping[int, Part], known: Container[int] = ()) -> None:
        self.last_parts = [number for number, part in parts.items() if needs_all_checksums(part)]
        self.read_ahead = _list_read_ahead(parts)
        self._lock = threading.Lock()
        #: The number of conditions that are not met, by the index of the part.
        self._unmet: dict[int, int] = {}
        #: The number of copies that a file still lacks, by the index of its entry.
        self._copies_left: dict[int, int] = {}
        #: The indexes of the parts that wait for all copies of a file, by the index of its entry.
        self._waiting: dict[int, list[int]] = {}
        for part in parts.values():
            index = copied_entry(part)
            if index is not None and index not in known:
                self._copies_left[index] = self._copies_left.get(index, 0) + 1
        for number, part in parts.items():
            if isinstance(part, CopiedPart):
                continue
            self._unmet[number] = isinstance(part, Seam) + (number in self.read_ahead)
            if number in self.last_parts:
                self._unmet[number] += 1
                continue
            for index in {index for index in list_headers(part) if index in self._copies_left}:
                self._unmet[number] += 1
                self._waiting.setdefault(index, []).append(number)
        self.unconditional = [number for number, count in self._unmet.items() if not count]

    def meet(self, number: int) -> bool:
        """Count a condition of a part as met. Return whether it was the last one."""
        with self._lock:
            self._unmet[number] -= 1
            return not self._unmet[number]

    def count_copy(self, source: Source) -> list[int]:
        """Count a copy of a file as done. Return the parts that have waited for it if it was the file's last copy."""
        if not isinstance(source, Range) or source.index not in self._copies_left:
            return []
        with self._lock:
            self._copies_left[source.index] -= 1
            return [] if self._copies_left[source.index] else self._waiting.pop(source.index, [])


def _list_read_ahead(parts: Mapping[int, Part]) -> set[int]:
    """Return the indexes of the last parts that contain files, and of seams with ``READ_AHEAD_SIZE`` bytes in total."""
    read_ahead, size = set(), 0
    for number, part in parts.items():
        if not any(map(is_read, part.segments)):
            continue
        if isinstance(part, Seam):
            size += size_of(part.segments)
        if needs_all_checksums(part) or (isinstance(part, Seam) and size <= READ_AHEAD_SIZE):
            read_ahead.add(number)
    return read_ahead
