"""Download of single files from an archive of any size, without the rest of it."""

import json
import re
import secrets
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from projects_client.errors import ConflictError, DamagedArchiveError, NotFoundError, ProjectsClientError
from projects_client.file_lock import FileLockedError, lock_file
from projects_client.progress import OnProgress, Step, ignore
from projects_client.remote_archive import MANIFEST, RemoteArchive
from projects_client.stored_object import ObjectChangedError
from projects_client.zip_directory import LOCAL_HEADER_SIZE, ZipEntry

#: Largest gap between two files that is downloaded instead of sending another request, in bytes.
MAX_GAP = 1 << 16

#: Smallest file that is resumed in its middle, in bytes.
MIN_RESUMED = 1 << 20

#: Largest range that one request downloads into memory, in bytes.
MAX_GROUP = 1 << 24

#: Parts of paths that no archive of the service has: they would leave the folder, or name a device on Windows.
_UNSAFE: Final = re.compile(
    r"""(?:^|/)(?:\.{0,2}|(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.[^/]*)?)(?:/|$)|[\x00-\x1f\x7f<>:"|?*\\]""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class DownloadedFile:
    """File that was downloaded, or was there already.

    Attributes:
        path: Path in the archive.
        file: The file.
        size: Size in bytes.
        was_there: Whether the file was there already, with the same size and CRC-32.
    """

    path: str
    file: Path
    size: int
    was_there: bool


def select_paths(manifest: dict[str, Any], patterns: Sequence[str], resource_type: str | None) -> list[str]:
    """Return the paths of a manifest that match any pattern and a type.

    A pattern is a path, a folder, the end of paths such as the name of a file, or a glob in which ``*`` also matches
    ``/``. Without patterns, all files match.

    Raises:
        NotFoundError: Nothing matches a pattern or the type.
    """
    types = {row["id"]: row["type"] for row in manifest.get("resources", [])}
    typed = {row.get("path"): row["type"] for row in manifest.get("resources", [])}
    paths = [
        row["path"]
        for row in manifest["files"]
        if resource_type in (None, types.get(row.get("resource_id")), typed.get(row["path"]))
    ]
    if not paths and set(patterns) != {MANIFEST}:
        kind = f" of type {resource_type}" if resource_type else ""
        raise NotFoundError(f"The archive has no files{kind}. `project.resources()` shows what the project has.")
    if not patterns:
        return paths
    files, selected = set(paths), dict[str, None]()
    for pattern in (unicodedata.normalize("NFC", text) for text in patterns):  # as the service writes paths
        folder = pattern.rstrip("/") + "/"
        matches = [pattern] if pattern in files else [path for path in paths if path.startswith(folder)]
        matches = matches or [path for path in paths if path.endswith(f"/{pattern}")]
        matches = matches or [path for path in paths if fnmatchcase(path, pattern)]
        if pattern == MANIFEST:
            matches = [MANIFEST]
        if not matches:
            examples = ", ".join(f"'{path}'" for path in paths[:3])
            raise NotFoundError(f"Nothing in the archive matches '{pattern}'. Its files are {examples}, …")
        selected.update(dict.fromkeys(matches))
    return list(selected)


def select_path(paths: Sequence[str], text: str) -> str:
    """Return a path, or the only path that ends with a text such as the name of a file, or else the text itself.

    Raises:
        ConflictError: Several paths end with the text.
    """
    text = unicodedata.normalize("NFC", text)  # as the service writes paths
    matches = [path for path in paths if path == text] or [path for path in paths if path.endswith(f"/{text}")]
    if len(matches) > 1:
        raise ConflictError(f"The archive has {len(matches)} files '{text}'. Give one path: {', '.join(matches[:5])}.")
    return matches[0] if matches else text


def find_path(manifest: dict[str, Any], resource_id: str) -> str:
    """Return the path of a resource's file.

    Raises:
        NotFoundError: The resource has no file, or was deleted.
    """
    path = next((row.get("path") for row in manifest.get("resources", []) if row["id"] == resource_id), None)
    if path is None:
        raise NotFoundError(f"The archive has no file of the resource {resource_id}.")
    return str(path)


def download_files(
    archive: RemoteArchive,
    paths: Iterable[str],
    folder: Path,
    *,
    force: bool = False,
    on_progress: OnProgress = ignore,
) -> list[DownloadedFile]:
    """Download files of an archive into a folder, under their paths.

    A file that is there with the right size and CRC-32 is not downloaded again, so a repeated call resumes. Each file
    gets its name only after its CRC-32 was compared.

    Args:
        archive: The archive.
        paths: Paths in the archive.
        folder: Folder to write to.
        force: Replace existing files that differ.
        on_progress: Called with each step.

    Raises:
        ConflictError: A file exists and differs.
        DamagedArchiveError: A file does not match its CRC-32, or its path is not safe.
    """
    entries = sorted((archive.get_entry(path) for path in paths), key=lambda entry: entry.header_offset)
    targets = {entry.path: _get_target(folder, entry.path) for entry in entries}
    present = {entry.path for entry in entries if _is_there(targets[entry.path], entry)}
    if not force:
        differing = [
            str(targets[each.path]) for each in entries if each.path not in present and targets[each.path].exists()
        ]
        if differing:
            raise ConflictError(
                f"{differing[0]} exists and differs from the file in the archive"
                f"{f', and {len(differing) - 1} more' if len(differing) > 1 else ''}. "
                "Choose another folder, or use `force=True` to replace."
            )
    total = sum(entry.size for entry in entries)
    done = sum(entry.size for entry in entries if entry.path in present)

    def advance(size: int) -> None:
        nonlocal done
        done += size
        on_progress(Step("downloading", min(done, total), total))

    missing = [entry for entry in entries if entry.path not in present]
    try:
        for group in _group(missing):
            _download_group(archive, group, targets, advance)
    except ObjectChangedError:
        raise ConflictError("The archive was replaced during the download. Call it again.") from None
    except OSError as error:
        raise ProjectsClientError(f"{error.filename or folder}: {error.strerror}. Call it again to resume.") from None
    return [DownloadedFile(each.path, targets[each.path], each.size, each.path in present) for each in entries]


def _get_target(folder: Path, path: str) -> Path:
    if _UNSAFE.search(path):
        raise DamagedArchiveError(f"The archive names a file {json.dumps(path)}, which is not a safe path.")
    return folder / path


def _is_there(file: Path, entry: ZipEntry) -> bool:
    return file.is_file() and file.stat().st_size == entry.size and _compute_crc32(file) == entry.crc32


def _compute_crc32(file: Path) -> int:
    crc32 = 0
    with file.open("rb") as content:
        while chunk := content.read(1 << 20):
            crc32 = zlib.crc32(chunk, crc32)
    return crc32


def _group(entries: Sequence[ZipEntry]) -> list[list[ZipEntry]]:
    """Return runs of small entries that one request downloads, and each large entry by itself."""
    groups: list[list[ZipEntry]] = []
    for entry in entries:
        previous = groups[-1][-1] if groups else None
        is_near = previous is not None and entry.header_offset - previous.end <= MAX_GAP
        fits = previous is not None and entry.end - groups[-1][0].header_offset <= MAX_GROUP
        if previous is not None and is_near and fits and max(previous.size, entry.size) < MIN_RESUMED:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return groups


def _download_group(
    archive: RemoteArchive, group: list[ZipEntry], targets: dict[str, Path], advance: Callable[[int], None]
) -> None:
    if len(group) == 1 and group[0].size >= MIN_RESUMED:
        _download_large(archive, group[0], targets[group[0].path], advance)
        return
    start = group[0].header_offset
    content = bytearray()
    archive.storage.fetch(start, group[-1].end, content.extend)
    for entry in group:
        header = entry.header_offset - start
        data = header + _measure_header(bytes(content[header : header + LOCAL_HEADER_SIZE]))
        part = _get_part(targets[entry.path], secrets.token_hex(4))  # no other download writes to it
        try:
            part.write_bytes(content[data : data + entry.size])
            _finish(part, targets[entry.path], entry)
        finally:
            part.unlink(missing_ok=True)  # no later run would
        advance(entry.size)


def _download_large(archive: RemoteArchive, entry: ZipEntry, target: Path, advance: Callable[[int], None]) -> None:
    part = _get_part(target, f"{entry.crc32:08x}")  # it never has bytes of other content
    try:
        with lock_file(part.with_name(f"{part.name}.lock"), on_unsupported=lambda: None):
            _resume_large(archive, entry, part, target, advance)
    except FileLockedError:
        raise ConflictError(f"Another download is writing {target}. Wait for it, or choose another folder.") from None


def _resume_large(
    archive: RemoteArchive, entry: ZipEntry, part: Path, target: Path, advance: Callable[[int], None]
) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have > entry.size:
        part.unlink()
        have = 0
    header = archive.read(entry.header_offset, entry.header_offset + LOCAL_HEADER_SIZE)
    data = entry.header_offset + _measure_header(header)
    advance(have)
    with part.open("ab") as content:

        def write(chunk: bytes) -> None:
            content.write(chunk)
            content.flush()
            advance(len(chunk))

        archive.storage.fetch(data + have, data + entry.size, write)
    _finish(part, target, entry)


def _get_part(target: Path, mark: str) -> Path:
    """Return the file for the bytes so far, with a mark in its name, in a folder that exists."""
    target.parent.mkdir(parents=True, exist_ok=True)
    name = target.name.encode()[:200].decode(errors="ignore")
    return target.with_name(f".{name}.{mark}.part")


def _finish(part: Path, target: Path, entry: ZipEntry) -> None:
    if part.stat().st_size != entry.size or _compute_crc32(part) != entry.crc32:
        part.unlink()
        raise DamagedArchiveError(
            f"'{entry.path}' does not match its CRC-32. The part was removed. Call it again to retry."
        )
    part.replace(target)


def _measure_header(header: bytes) -> int:
    if header[:4] != b"PK\x03\x04":
        raise DamagedArchiveError("The archive is damaged: an entry has no local header.")
    return LOCAL_HEADER_SIZE + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
