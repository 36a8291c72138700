"""Paths for the files of an archive: safe to unpack on any system, and no two the same."""

import re
import unicodedata
from collections.abc import Iterable

#: A name in a folder is at most this many bytes on the usual file systems.
NAME_BYTES = 255

#: A ZIP entry's name is at most 65,535 bytes; Linux's paths are at most 4,096, and an S3 key at most 1,024.
PATH_BYTES = 1024

#: An ending up to this long is kept when a name is shortened or numbered.
ENDING_BYTES = 64

#: What Windows does not take in a name; control characters nobody does.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\ud800-\udfff\u202a-\u202e\u2066-\u2069]')
_DEVICES = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³]) *(?:\..*)?", re.IGNORECASE)


def safe_path(name: str) -> str:
    """``name`` as a relative path that stays in the folder it is unpacked in, on Unix and on Windows."""
    parts = [_safe_name(part) for part in unicodedata.normalize("NFC", name).replace("\\", "/").split("/")]
    kept = [part for part in parts if part]
    while len(kept) > 1 and len("/".join(kept).encode()) > PATH_BYTES:
        kept.pop(-2)
    return "/".join(kept) or "_"


def _safe_name(part: str) -> str:
    part = _FORBIDDEN.sub("_", part).strip(" ").rstrip(". ")  # "." and ".." become nothing
    part = _shorten(part, NAME_BYTES)
    return _shorten(f"_{part}", NAME_BYTES) if _DEVICES.fullmatch(part) else part


def _shorten(name: str, limit: int) -> str:
    """``name`` in at most ``limit`` bytes of UTF-8, its ending kept."""
    if len(name.encode()) <= limit:
        return name
    stem, ending = _split_ending(name)
    room = limit - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + ending


def _split_ending(name: str) -> tuple[str, str]:
    """``name`` as what it is and its ending with the dot, where it has a short one."""
    stem, dot, ending = name.rpartition(".")
    return (stem, dot + ending) if stem and len(ending.encode()) < ENDING_BYTES else (name, "")


def unique_paths(names: Iterable[str], *, taken: Iterable[str] = ()) -> list[str]:
    """A safe path for each of ``names``, in their order; no two are the same on a file system that ignores case.

    Nor is one a folder of another. Which name gets which path depends on nothing but ``names``.
    """
    files = {_fold_case(path) for path in taken}
    folders: set[str] = set()
    tried: dict[str, int] = {}
    paths = []
    for name in names:
        wanted = path = safe_path(name)
        number = tried.get(wanted, 1)
        blocked = not files.isdisjoint(_parent_folders(_fold_case(wanted)))
        while (
            (folded := _fold_case(path)) in files or folded in folders or not files.isdisjoint(_parent_folders(folded))
        ):
            number += 1
            path = _number_path(wanted, number, whole=blocked)
        tried[wanted] = number
        files.add(folded)
        folders.update(_parent_folders(folded))
        paths.append(path)
    return paths


def _fold_case(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def _parent_folders(path: str) -> list[str]:
    """The folders that a path lies in."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _number_path(path: str, number: int, *, whole: bool) -> str:
    """``path`` with a number in its last name; in its folders as well where one of them is a file's name."""
    *folders, name = path.split("/")
    if whole:
        folders = [_number_name(folder, number) for folder in folders]
    return "/".join([*folders, _number_name(name, number)])


def _number_name(name: str, number: int) -> str:
    """``name`` with a number before its ending."""
    stem, ending = _split_ending(name)
    mark = f" ({number}){ending}"
    return _shorten(stem, NAME_BYTES - len(mark.encode())) + mark
