"""Paths of the files in an exported archive: unique, and safe to extract on any operating system.

Names in an archive to import are not made safe but rejected: ``entry_names.check_path``.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

#: Longest file name on common file systems, in bytes.
NAME_BYTES = 255

#: Longest path in an archive, in bytes. S3 keys have at most 1,024, Linux paths 4,096, names of ZIP entries 65,535.
PATH_BYTES = 1024

#: Longest extension that is kept when a name is shortened or numbered, in bytes.
EXTENSION_BYTES = 64

#: Bytes that a number takes in a name at most, with its parentheses and a space.
NUMBER_BYTES = 12

#: Shortest room for a name with a number, in bytes: a few characters, the number and the extension.
NUMBERED_NAME_BYTES = 2 * NUMBER_BYTES + EXTENSION_BYTES

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
    return _cut(stem, limit - len(extension.encode())) + extension


def _cut(name: str, limit: int) -> str:
    """Return the first characters of ``name``, at most ``limit`` bytes of UTF-8."""
    data = name.encode()
    return name if len(data) <= limit else data[:limit].decode(errors="ignore").rstrip(". ")


def _split_extension(name: str) -> tuple[str, str]:
    """Return the stem of ``name`` and its extension with the dot. A long extension counts as part of the stem."""
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if stem and len(extension.encode()) < EXTENSION_BYTES else (name, "")


def unique_paths(names: Iterable[str], *, taken: Iterable[str] = ()) -> list[str]:
    """Return a safe path for each of ``names``, in the same order.

    No two paths are equal on a file system that ignores case, and no path is a folder of another one. Of names that
    clash, the later one gets a number in the component that clashes. All other components stay as they are. The result
    depends on the arguments only. The time is linear in the number of names.

    Args:
        names: The names to turn into paths.
        taken: Paths that are already in use.
    """
    root = _Folder()
    for path in taken:
        _place(root, path.split("/"))
    return [_place(root, safe_path(name).split("/")) for name in names]


@dataclass(slots=True)
class _Folder:
    """A folder of the archive. All keys are names with their case folded.

    Attributes:
        files: The names of the files in the folder.
        folders: The folders in it.
        numbered_folders: The names, with a number, of the folders whose own name is that of a file.
        numbers: The last number of each name that was numbered.
    """

    files: set[str] = field(default_factory=set)
    folders: dict[str, "_Folder"] = field(default_factory=dict)
    numbered_folders: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def enter(self, name: str) -> "tuple[_Folder, str]":
        """Return the folder for the files of the folder ``name``, and the folder's name in the archive."""
        folded = _fold_case(name)
        if folded in self.files:
            if folded not in self.numbered_folders:
                self.numbered_folders[folded] = self._number(name, NAME_BYTES)
            name = self.numbered_folders[folded]
        return self.folders.setdefault(_fold_case(name), _Folder()), name

    def add_file(self, name: str, max_bytes: int) -> str:
        """Add a file and return its name in the archive, which has at most ``max_bytes`` bytes if it needs a number."""
        if self.is_taken(name):
            name = self._number(name, max_bytes)
        self.files.add(_fold_case(name))
        return name

    def is_taken(self, name: str) -> bool:
        """Return whether a file or folder has the name."""
        folded = _fold_case(name)
        return folded in self.files or folded in self.folders

    def _number(self, name: str, max_bytes: int) -> str:
        """Return ``name`` with the lowest free number before its extension."""
        stem, extension = _split_extension(name)
        stem = _cut(stem, max_bytes - len(extension.encode()) - NUMBER_BYTES)
        base = _fold_case(stem + extension)
        while True:
            number = self.numbers[base] = self.numbers.get(base, 1) + 1
            numbered = f"{stem} ({number}){extension}"
            if not self.is_taken(numbered):
                return numbered


def _place(root: _Folder, parts: list[str]) -> str:
    """Add a file to the archive and return its path.

    A number can make the path too long. The path then loses its innermost folder, as in ``safe_path``.
    """
    folder, prefix, name = root, "", parts[-1]
    for part in parts[:-1]:
        folder, folder_name = folder.enter(part)
        prefix += f"{folder_name}/"
    room = PATH_BYTES - len(prefix.encode())
    if len(parts) > 1 and room < (NUMBERED_NAME_BYTES if folder.is_taken(name) else len(name.encode())):
        return _place(root, [*parts[:-2], name])
    return prefix + folder.add_file(name, min(room, NAME_BYTES))


def _fold_case(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
