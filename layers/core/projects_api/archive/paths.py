"""Paths of the files of an archive, unique and safe to extract on any operating system."""

import re
import unicodedata
from collections.abc import Iterable

#: Longest file name on common file systems, in bytes.
NAME_BYTES = 255

#: Longest path in an archive, in bytes. S3 keys have at most 1,024, Linux paths 4,096, names of ZIP entries 65,535.
PATH_BYTES = 1024

#: Longest extension that is kept when a name is shortened or numbered, in bytes.
EXTENSION_BYTES = 64

#: Characters that are not allowed in file names on Windows, and control characters.
#: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\ud800-\udfff\u202a-\u202e\u2066-\u2069]')
_DEVICES = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|COM[0-9¹²³]|LPT[0-9¹²³]) *(?:\..*)?", re.IGNORECASE)


def safe_path(name: str) -> str:
    """Return ``name`` as a relative path that stays in the folder where it is extracted, on Unix and on Windows."""
    safe_names = [_safe_name(part) for part in unicodedata.normalize("NFC", name).replace("\\", "/").split("/")]
    parts = [part for part in safe_names if part]
    while len(parts) > 1 and len("/".join(parts).encode()) > PATH_BYTES:
        parts.pop(-2)
    return "/".join(parts) or "_"


def _safe_name(part: str) -> str:
    part = _FORBIDDEN.sub("_", part).strip(" ").rstrip(". ")  # "." and ".." become empty
    part = _shorten(part, NAME_BYTES)
    return _shorten(f"_{part}", NAME_BYTES) if _DEVICES.fullmatch(part) else part


def _shorten(name: str, limit: int) -> str:
    """Return ``name`` cut to at most ``limit`` bytes of UTF-8, with its extension."""
    if len(name.encode()) <= limit:
        return name
    stem, extension = _split_extension(name)
    stem_bytes = limit - len(extension.encode())
    return stem.encode()[:stem_bytes].decode(errors="ignore").rstrip(". ") + extension


def _split_extension(name: str) -> tuple[str, str]:
    """Return the stem of ``name`` and its extension with the dot. A long extension counts as part of the stem."""
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if stem and len(extension.encode()) < EXTENSION_BYTES else (name, "")


def unique_paths(names: Iterable[str], *, taken: Iterable[str] = ()) -> list[str]:
    """Return a safe path for each of ``names``, in the same order.

    No two paths are equal on a file system that ignores case, and no path is a folder of another one. The result
    depends on the arguments only.

    Args:
        names: The names to turn into paths.
        taken: Paths that are already in use.
    """
    files = {_fold_case(path) for path in taken}
    folders: set[str] = set()
    last_numbers: dict[str, int] = {}
    paths = []
    for name in names:
        base = path = safe_path(name)
        number = last_numbers.get(base, 1)
        folder_is_file = not files.isdisjoint(_parent_folders(_fold_case(base)))
        while (
            (folded := _fold_case(path)) in files or folded in folders or not files.isdisjoint(_parent_folders(folded))
        ):
            number += 1
            path = _number_path(base, number, with_folders=folder_is_file)
        last_numbers[base] = number
        files.add(folded)
        folders.update(_parent_folders(folded))
        paths.append(path)
    return paths


def _fold_case(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def _parent_folders(path: str) -> list[str]:
    """Return the folders that contain a path, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _number_path(path: str, number: int, *, with_folders: bool) -> str:
    """Return ``path`` with a number in its file name and, if ``with_folders``, in the names of its folders."""
    *folders, name = path.split("/")
    if with_folders:
        folders = [_number_name(folder, number) for folder in folders]
    return "/".join([*folders, _number_name(name, number)])


def _number_name(name: str, number: int) -> str:
    """Return ``name`` with a number before its extension."""
    stem, extension = _split_extension(name)
    suffix = f" ({number}){extension}"
    return _shorten(stem, NAME_BYTES - len(suffix.encode())) + suffix
