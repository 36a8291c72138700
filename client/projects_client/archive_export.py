"""Export of a project to a file: wait for the archive, download it, check it, and give it its name."""

import os
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from projects_client.api import ApiClient, parse_id
from projects_client.archive_check import read_project_id
from projects_client.download import Download, Downloaded
from projects_client.errors import (
    ConflictError,
    ExportFailedError,
    ForbiddenError,
    InvalidInputError,
    ProjectsClientError,
)
from projects_client.file_lock import FileLockedError, lock_file
from projects_client.progress import OnNote, OnProgress, Step, format_files, format_size, ignore
from projects_client.records import Export
from projects_client.stored_object import StoredObject

#: First and longest pause between two requests for the status of an export, in seconds.
FIRST_POLL_DELAY, MAX_POLL_DELAY = 0.2, 2.0

UNFINISHED_STATUSES = {"pending", "running"}


@dataclass(frozen=True)
class ExportReader:
    """Access to the exports of one project.

    Attributes:
        api: The API.
        project_id: Id of the project.
    """

    api: ApiClient
    project_id: str

    @property
    def path(self) -> str:
        return f"/api/projects/{self.project_id}/exports"

    def get(self, export_id: str) -> Export:
        """Return an export.

        Raises:
            InvalidInputError: ``export_id`` is not a UUID.
            NotFoundError: The project has no such export.
        """
        canonical_id = parse_id(export_id)
        if canonical_id is None:
            raise InvalidInputError(f"'{export_id}' is not the id of an export. `project.exports()` shows the ids.")
        return Export.from_json(self.api.get(f"{self.path}/{canonical_id}")["export"])

    def start(self, *, fresh: bool = False) -> Export:
        """Start an export, or join the one of the project's current state.

        Args:
            fresh: Always start one, and do not use the previous archive.
        """
        body, key = ({"fresh": True}, str(uuid4())) if fresh else (None, None)
        return Export.from_json(self.api.post(self.path, body, idempotency_key=key)["export"])

    def request_current(self) -> Export:
        """Return the export of the project's current state, and start one if there is none.

        The request is a GET: the response to a POST has no download URL for a key that may only write, and a key that
        may only read can't send a POST.

        Raises:
            ForbiddenError: The key has no read scope.
        """
        try:
            response = self.api.get(f"/api/projects/{self.project_id}/export")
        except ForbiddenError as error:
            raise ForbiddenError(f"{error} A download needs a key with the scope read.") from None
        except ConflictError as error:  # the last export failed a moment ago: the caller wants another attempt
            try:
                return self.start()
            except ForbiddenError:
                raise ExportFailedError(str(error)) from None
        return Export.from_json(response["export"])

    def wait(self, export: Export, on_progress: OnProgress = ignore) -> Export:
        """Wait until an export is ready, and return it with a download URL.

        Raises:
            ExportFailedError: The export failed or was cancelled.
        """
        delay = FIRST_POLL_DELAY
        while True:
            counts = export.progress
            files = format_files(counts.files_done, counts.files_total)
            on_progress(Step("exporting", counts.bytes_done, counts.bytes_total or None, files))
            if export.status not in UNFINISHED_STATUSES:
                break
            time.sleep(delay)
            delay = min(delay * 1.5, MAX_POLL_DELAY)
            export = self.get(export.id)
        if export.status == "cancelled":
            raise ExportFailedError("The export was cancelled. Call it again to start another one.")
        if export.status != "ready":
            raise ExportFailedError(f"The export failed. {export.error or 'Call it again to retry.'}")
        return export

    def sign_url(self, export_id: str) -> str:
        """Return a new download URL of an export.

        Raises:
            ForbiddenError: The key may not download.
            ExportFailedError: The archive has expired.
        """
        export = self.get(export_id)
        if export.download_url is None:
            if export.status == "ready":
                raise ForbiddenError(
                    "The API gives this key no download URL. A download needs a key with the scope read."
                )
            raise ExportFailedError("The archive is no longer available. Call it again for a new one.")
        return export.download_url

    def open_storage(self, export: Export) -> StoredObject:
        """Return the archive of a ready export as an object in the storage."""
        return StoredObject(export.size_bytes or 0, lambda: self.sign_url(export.id))


def export_to_file(
    reader: ExportReader,
    project_name: str,
    output: str | Path,
    *,
    export_id: str | None = None,
    fresh: bool = False,
    update: bool = False,
    force: bool = False,
    on_progress: OnProgress = ignore,
    on_note: OnNote = ignore,
) -> Downloaded:
    """Download the archive of a project to a file.

    Args:
        reader: Access to the project's exports.
        project_name: Name of the project, which names the file if ``output`` is a folder.
        output: File or folder to write to.
        export_id: Id of an earlier export to download.
        fresh: Create the archive without using the previous one.
        update: Replace an older archive at ``output``, and download only what is new.
        force: Replace an existing file.
        on_progress: Called with each step.
        on_note: Called with sentences about what is unusual.

    Raises:
        ConflictError: The file exists, or another program is writing it.
        ExportFailedError: The service could not create the archive.
        DamagedArchiveError: The archive does not match its manifest.
    """
    check_folder(str(output))
    target = find_target(output, project_name)
    _check_target(target, replace=force or update)
    with _lock_target(target, on_note):
        if update and not force:
            _check_project(target, reader.project_id)
        if fresh:
            export = reader.start(fresh=True)
        else:
            export = reader.request_current() if export_id is None else reader.get(export_id)
        export = reader.wait(export, on_progress)
        download = Download(
            export, target, sign_url=lambda: reader.sign_url(export.id), on_progress=on_progress, on_note=on_note
        )
        if download.part_is_foreign and not force:
            raise ConflictError(
                f"{download.part} was not written by an export. "
                "Choose another output file, or use `force=True` to replace it."
            )
        checked = download.run(older=target if update and target.exists() else None)
        if not (force or update) and target.exists():
            raise ConflictError(
                f"{target} was created during the download. Call it again with `force=True` to replace it."
            )
        download.finish()
    on_note(
        f"Checked {checked.files:,} {'file' if checked.files == 1 else 'files'}, {format_size(checked.bytes)}: "
        "all sizes and CRC-32 checksums match the manifest."
    )
    return Downloaded(
        target,
        download.resumed_at,
        download.reused_bytes,
        download.downloaded_bytes,
        checked.files,
        checked.bytes,
        export,
    )


def check_folder(output: str) -> None:
    """Reject an output that can't be written, before the service creates an export."""
    if output == "-":
        raise InvalidInputError("An archive is checked in its file before use. Give a file name, not '-'.")
    if output.endswith("/") and not Path(output).is_dir():
        raise ProjectsClientError(f"There is no folder {output}. Create it, or choose another one.")
    if not Path(output).parent.is_dir():
        raise ProjectsClientError(f"There is no folder {Path(output).parent}. Create it, or choose another one.")


def find_target(output: str | Path, project_name: str) -> Path:
    """Return the file to write: in a folder, one named after the project. A link stays, and its file is written."""
    target = Path(output) / create_file_name(project_name) if Path(output).is_dir() else Path(output)
    return Path(os.path.realpath(target)) if target.is_symlink() else target


def create_file_name(project_name: str) -> str:
    """Return a file name that is valid on every system, and leaves room for ``.part.json`` within 255 bytes."""
    name = "".join(
        "_"
        if c in '"\\/<>:|?*%' or unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or "\u202a" <= c <= "\u202e"
        else c
        for c in project_name
    )
    name = name.encode()[:200].decode(errors="ignore").strip(" .")
    stem = name.partition(".")[0].rstrip().upper()
    if stem in {"CON", "PRN", "AUX", "NUL"} or (stem[:3] in {"COM", "LPT"} and stem[3:] in set("0123456789¹²³")):
        name = f"_{name}"  # a device on Windows
    return f"{name or 'project'}.zip"


def _check_target(target: Path, *, replace: bool) -> None:
    """Reject an existing target, unless it is a file that may be replaced."""
    if target.exists() and not target.is_file():
        raise ConflictError(f"{target} exists, and is not a file. Choose another output file.")
    if target.exists() and not replace:
        raise ConflictError(
            f"{target} already exists. Choose another output file, use `update=True` to bring it up to date, "
            "or use `force=True` to replace it."
        )


def _check_project(target: Path, project_id: str) -> None:
    """Reject a target with the archive of another project, such as one with the same name."""
    if target.exists() and read_project_id(target) not in {None, project_id}:
        raise ConflictError(
            f"{target} is an archive of another project. Choose another output file, or use `force=True` to replace it."
        )


@contextmanager
def _lock_target(target: Path, on_note: OnNote) -> Iterator[None]:
    """Prevent a second export from writing the same file."""

    def warn() -> None:
        on_note(f"The file system of {target} has no locks. Do not run two exports to this file.")

    try:
        with lock_file(target.with_name(f"{target.name}.part.lock"), on_unsupported=warn):
            yield
    except FileLockedError:
        raise ConflictError(
            f"Another export is writing {target}. Wait for it, or choose another output file."
        ) from None
