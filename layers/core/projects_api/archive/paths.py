"""Paths for the files of an archive: safe to unpack on any system, and no two the same."""

import re
import unicodedata
from collections.abc import Iterable

#: A name in a folder is at most this many bytes on the usual file systems.
NAME_BYTES = 255

#: A ZIP entry's name is at most 65,535 bytes; Linux's paths are at most 4,096, and an S3 key at most 1,024.
PATH_BYTES = 1024

#: What Windows does not take in a name; control characters nobody does.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\ud800-\udfff\u202a-\u202e\u2066-\u2069]')
_DEVICES = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³])(?:\..*)?", re.IGNORECASE)


def safe_path(name: str) -> str:
    """``name`` as a relative path that stays in the folder it is unpacked in, on Unix and on Windows."""
    parts = [_safe_name(part) for part in unicodedata.normalize("NFC", name).replace("\\", "/").split("/")]
    kept = [part for part in parts if part]
    while len(kept) > 1 and len("/".join(kept).encode()) > PATH_BYTES:
        kept.pop(-2)
    return "/".join(kept) or "_"


def _safe_name(part: str) -> str:
    part = _FORBIDDEN.sub("_", part).strip(" ").rstrip(". ")  # "." and ".." become nothing
    if _DEVICES.fullmatch(part):
        part = f"_{part}"
    return _shortened(part, NAME_BYTES)


def _shortened(name: str, limit: int) -> str:
    """``name`` in at most ``limit`` bytes of UTF-8, its ending kept where that is short."""
    if len(name.encode()) <= limit:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending.encode()) > limit // 4:
        stem, dot, ending = name, "", ""
    room = limit - len((dot + ending).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + dot + ending


def unique_paths(names: Iterable[str], *, taken: Iterable[str] = ()) -> list[str]:
    """A safe path for each of ``names``, in their order; no two are the same on a file system that ignores case.

    Nor is one a folder of another. Which name gets which path depends on nothing but ``names``.
    """
    files = {_folded(path) for path in taken}
    folders: set[str] = set()
    paths = []
    for name in names:
        wanted = safe_path(name)
        path, number = wanted, 1
        while (folded := _folded(path)) in files or folded in folders or any(up in files for up in _above(folded)):
            number += 1
            path = _numbered(wanted, number)
        files.add(folded)
        folders.update(_above(folded))
        paths.append(path)
    return paths


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def _above(path: str) -> list[str]:
    """The folders that a path lies in."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _numbered(path: str, number: int) -> str:
    """``path`` with a number before its ending; where a folder of it is in the way, that is numbered as well."""
    folder, slash, name = path.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    mark = f" ({number})"
    if not stem:
        stem, dot, ending = name, "", ""
    stem = _shortened(stem, NAME_BYTES - len((mark + dot + ending).encode()))
    return f"{folder}{mark if slash else ''}{slash}{stem}{mark}{dot}{ending}"
