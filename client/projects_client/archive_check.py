"""Verification of an archive against its own manifest."""

import errno
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from projects_client.errors import DamagedArchiveError

MANIFEST = "manifest.json"

#: Bytes read from an archive in one call.
CHUNK_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckedArchive:
    """Contents of an archive that matches its manifest.

    Attributes:
        files: Number of files that the manifest lists.
        bytes: Total uncompressed size of these files.
    """

    files: int
    bytes: int


def check_archive(path: Path, on_progress: Callable[[int], None] = lambda _: None) -> CheckedArchive:
    """Read every file of an archive, and compare its size and CRC-32 with the manifest.

    Args:
        path: The archive.
        on_progress: Called after each read with the number of bytes that were read.

    Returns:
        The number and the total size of the files.

    Raises:
        DamagedArchiveError: The file is not an archive of a project, or does not match its manifest.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = json.loads(archive.read(MANIFEST))["files"]
            _check_names(archive.namelist(), [MANIFEST, *(file["path"] for file in files)])
            total = sum(_check_file(archive, file, on_progress) for file in files)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DamagedArchiveError(f"{path} is damaged or is not a ZIP archive: {str(error).rstrip('.')}.") from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # zipfile seeks to the negative offsets of a damaged directory
        raise DamagedArchiveError(f"{path} is damaged: its directory is not valid.") from None
    except (KeyError, TypeError, ValueError):
        raise DamagedArchiveError(f"{path} is not an archive of a project: it has no valid {MANIFEST}.") from None
    return CheckedArchive(len(files), total)


def read_project_id(path: Path) -> str | None:
    """Return the id of the project in an archive, or None if the file is no archive that tells."""
    try:
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read(MANIFEST))["project"]["id"])
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, KeyError, TypeError, ValueError):
        return None


def _check_names(names: list[str], listed_names: list[str]) -> None:
    if missing := sorted(set(listed_names) - set(names)):
        raise DamagedArchiveError(f"The archive does not contain '{missing[0]}', which its manifest lists.")
    if sorted(names) != sorted(listed_names):
        raise DamagedArchiveError("The archive contains files that its manifest does not list.")


def _check_file(archive: zipfile.ZipFile, file: dict[str, Any], on_progress: Callable[[int], None]) -> int:
    name, crc32, size = file["path"], 0, 0
    with archive.open(name) as content:
        while chunk := content.read(CHUNK_SIZE):
            crc32 = zlib.crc32(chunk, crc32)
            size += len(chunk)
            on_progress(len(chunk))
    if size != file["size"]:
        raise DamagedArchiveError(f"'{name}' has {size} bytes, but the manifest states {file['size']}.")
    if crc32 != int(file["crc32"], 16):
        raise DamagedArchiveError(f"'{name}' has the CRC-32 {crc32:08x}, but the manifest states {file['crc32']}.")
    return size
