"""An archive, checked against its own manifest."""

import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from projects_client.errors import DamagedError

MANIFEST = "manifest.json"
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found to be as the manifest says."""

    files: int
    bytes: int


def check(path: Path, advance: Callable[[int], None] = lambda _: None) -> Checked:
    """Reads every file of an archive and compares its size and CRC-32 with the manifest's.

    Args:
        advance: Is told how many bytes more were read.

    Raises:
        DamagedError: It is no archive of a project, or something in it is missing, too much or different.
    """
    try:
        with zipfile.ZipFile(path) as opened:
            files = json.loads(opened.read(MANIFEST))["files"]
            _check_names(opened.namelist(), [MANIFEST, *(file["path"] for file in files)])
            total = sum(_check_file(opened, file, advance) for file in files)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DamagedError(f"{path} is no archive, or is damaged: {str(error).rstrip('.')}.") from None
    except (KeyError, TypeError, ValueError):
        raise DamagedError(f"{path} is not the archive of a project: no {MANIFEST} lists its files.") from None
    return Checked(len(files), total)


def _check_names(found: list[str], listed: list[str]) -> None:
    if missing := sorted(set(listed) - set(found)):
        raise DamagedError(f"The archive lacks '{missing[0]}', which its manifest lists.")
    if sorted(found) != sorted(listed):
        raise DamagedError("The archive holds files that its manifest does not list.")


def _check_file(opened: zipfile.ZipFile, file: dict[str, Any], advance: Callable[[int], None]) -> int:
    name, crc32, size = file["path"], 0, 0
    with opened.open(name) as content:
        while chunk := content.read(CHUNK):
            crc32 = zlib.crc32(chunk, crc32)
            size += len(chunk)
            advance(len(chunk))
    if size != file["size"]:
        raise DamagedError(f"'{name}' has {size} bytes, its manifest says {file['size']}.")
    if crc32 != int(file["crc32"], 16):
        raise DamagedError(f"'{name}' has the CRC-32 {crc32:08x}, its manifest says {file['crc32']}.")
    return size
