"""The names of entries in a ZIP archive (APPNOTE.TXT, 4.4.17), which may be hostile."""

import re
import unicodedata
import zlib

from projects_api.archive.zip_writer import UTF8_NAMES

_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")


def decode_name(raw_name: bytes, flags: int, unicode_path: bytes | None) -> str:
    """Return the name of an entry.

    A name is in UTF-8 if its flag says so (4.4.4, bit 11), or if it has a valid Unicode path (4.6.9). Without either,
    it is in UTF-8 if it can be, because Apple's Archive Utility sets no flag, otherwise in IBM code page 437 (D.1).

    Raises:
        ValueError: The name contradicts its flag or its Unicode path.
    """
    if flags & UTF8_NAMES:
        try:
            return raw_name.decode()
        except UnicodeDecodeError:
            raise ValueError("its name is not valid UTF-8") from None
    if unicode_path and len(unicode_path) > 5 and unicode_path[0] == 1:  # noqa: PLR2004 - version and CRC-32
        if int.from_bytes(unicode_path[1:5], "little") != zlib.crc32(raw_name):
            raise ValueError("its Unicode path belongs to another name")
        raw_name = unicode_path[5:]
    try:
        return raw_name.decode()
    except UnicodeDecodeError:
        return raw_name.decode("cp437")


def check_path(name: str, *, max_depth: int) -> str:
    """Return the path of an entry in NFC, with ``/`` between folders and without a ``./`` in front.

    Args:
        name: The decoded name.
        max_depth: Maximum number of folders around a file.

    Raises:
        ValueError: The path leads out of the archive, or a reader may misunderstand it.
    """
    path = unicodedata.normalize("NFC", name).replace("\\", "/")  # early versions of .NET write backslashes
    while path.startswith("./") and path != "./":
        path = path[2:]
    if path.startswith("/") or _DRIVE.match(path):
        raise ValueError("its path is absolute")
    parts = path.removesuffix("/").split("/")
    if ".." in parts:
        raise ValueError("its path leads out of the archive with '..'")
    if path != "./" and not {"", "."}.isdisjoint(parts):
        raise ValueError("its path has an empty part or a '.'")
    if _CONTROL_CHARACTER.search(path):
        raise ValueError("its path has a control character")
    if len(parts) - 1 > max_depth:
        raise ValueError(f"it is in more than {max_depth} folders")
    return path
