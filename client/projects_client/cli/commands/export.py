"""Commands ``projects export`` and ``projects verify``: create, download and check an archive."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID

from projects_client.api import ApiClient
from projects_client.archive_check import CheckedArchive, check_archive
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, ProjectArgument, create_client
from projects_client.download import Download
from projects_client.errors import (
    CommandError,
    ConflictError,
    DamagedArchiveError,
    ExportFailedError,
    InvalidInputError,
)
from projects_client.file_lock import FileLockedError, lock_file

app = typer.Typer()

#: First and longest pause between two requests for the status of an export, in seconds.
FIRST_POLL_DELAY, MAX_POLL_DELAY = 0.2, 2.0

#: Waiting time after which a command without a terminal says that the export is being created, in seconds.
NOTE_DELAY = 2.0

UNFINISHED_STATUSES = {"pending", "running"}


@app.command()
def export(
    context: typer.Context,
    id_or_name: ProjectArgument,
    *,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="File or folder to write to.", show_default="current folder"),
    ] = ".",
    export_id: Annotated[
        str | None,
        typer.Option(
            "--export", help="Id of an earlier export to download.", show_default="a new export of the project"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing file.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Download a project as a ZIP archive, and check every file in it.

    To resume an interrupted download, run the same command again.
    """
    _check_folder(output)
    client = create_client(context)
    project = client.find_project(id_or_name)
    target = Path(output) / _create_file_name(project["name"]) if Path(output).is_dir() else Path(output)
    _check_target(target, force=force)
    with _lock_target(target), terminal.create_progress() as progress:
        exports_path = f"/{project['id']}/exports"
        response = client.post(exports_path) if export_id is None else client.get_export(project["id"], export_id)
        with _explain_interruption(
            progress, lambda: "The service continues the export. Run the same command again to download it."
        ):
            ready_export = _wait_for_export(client, exports_path, response["export"], progress)
        download = Download(
            ready_export["id"],
            ready_export["size_bytes"],
            target,
            sign_url=lambda: _get_download_url(client, f"{exports_path}/{ready_export['id']}"),
            on_progress=_create_bar(progress, "downloading", ready_export["size_bytes"]),
        )
        if download.part_is_foreign and not force:
            raise ConflictError(
                f"{download.part} was not written by `projects export`. "
                "Choose another output file, or use --force to replace it."
            )
        _announce_download(download, ready_export, progress)
        with _explain_interruption(progress, lambda: _describe_resumption(download.part)):
            download.run()
        checked = _check_download(download, progress)
        if not force and target.exists():
            raise ConflictError(
                f"{target} was created during the download. Run the same command with --force to replace it."
            )
        download.finish()
    terminal.print_note(
        f"Checked {terminal.format_count(checked.files, 'file')}, {terminal.format_size(checked.bytes)}: "
        "all sizes and CRC-32 checksums match the manifest."
    )
    if as_json:
        ready_export["download_url"] = ready_export["download_url_expires_at"] = None  # the file is downloaded already
        terminal.print_json(
            {"file": str(target), "resumed_at": download.resumed_at, "files": checked.files, "export": ready_export}
        )
    else:
        print(target)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="An archive of a project.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check every file of an archive against its manifest, without the API."""
    with terminal.create_progress() as progress:
        checked = _check_with_progress(file, progress)
    result = {"file": str(file), "files": checked.files, "bytes": checked.bytes}
    sentence = (
        f"{file} is intact: {terminal.format_count(checked.files, 'file')}, {terminal.format_size(checked.bytes)}."
    )
    terminal.print_result(result, sentence, as_json=as_json)


@contextmanager
def _explain_interruption(progress: Progress, describe_state: Callable[[], str]) -> Iterator[None]:
    """Print the state of the export when Ctrl-C or SIGTERM ends the program."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        progress.stop()
        terminal.print_note(f"Stopped. {describe_state()}")
        raise


def _describe_resumption(part: Path) -> str:
    if part.exists():
        return f"Run the same command again to resume from the end of {part}."
    return "Nothing has been downloaded. Run the same command again to start the download."


def _check_folder(output: str) -> None:
    """Reject an output that can't be written, before the service creates an export."""
    if output == "-":
        raise InvalidInputError("An archive is checked in its file before use. Give a file name, not '-'.")
    if output.endswith("/") and not Path(output).is_dir():
        raise CommandError(f"There is no folder {output}. Create it, or choose another one.")
    if not Path(output).parent.is_dir():
        raise CommandError(f"There is no folder {Path(output).parent}. Create it, or choose another one.")


def _check_target(target: Path, *, force: bool) -> None:
    """Reject an existing target, unless it is a file that ``--force`` may replace."""
    if target.exists() and not target.is_file():
        raise ConflictError(f"{target} exists, and is not a file. Choose another output file.")
    if target.exists() and not force:
        raise ConflictError(f"{target} already exists. Choose another output file, or use --force to replace it.")


@contextmanager
def _lock_target(target: Path) -> Iterator[None]:
    """Prevent a second export from writing the same file."""
    try:
        with lock_file(target.with_name(f"{target.name}.part.lock"), on_unsupported=lambda: _warn_about_lock(target)):
            yield
    except FileLockedError:
        raise ConflictError(
            f"Another `projects export` is writing {target}. Wait for it, or choose another output file."
        ) from None


def _warn_about_lock(target: Path) -> None:
    terminal.print_note(f"The file system of {target} has no locks. Do not run two exports to this file.")


def _wait_for_export(
    client: ApiClient, exports_path: str, export: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    """Wait until an export is ready and return it; without a terminal, print one note instead of a bar."""
    task, delay, waited = progress.add_task("exporting", total=None, files=""), FIRST_POLL_DELAY, 0.0
    while True:
        counts = export["progress"]
        progress.update(
            task,
            completed=counts["bytes_done"],
            total=counts["bytes_total"] or None,
            files=f"{counts['files_done']}/{terminal.format_count(counts['files_total'], 'file')}",
        )
        if export["status"] not in UNFINISHED_STATUSES:
            break
        if progress.disable and waited < NOTE_DELAY <= waited + delay:
            terminal.print_note("Creating the export …")
        time.sleep(delay)
        waited += delay
        delay = min(delay * 1.5, MAX_POLL_DELAY)
        export = client.get(f"{exports_path}/{export['id']}")["export"]
    if export["status"] == "failed":
        raise ExportFailedError(f"The export failed. {export['error'] or 'Run the same command again to retry.'}")
    return export


def _get_download_url(client: ApiClient, path: str) -> str:
    return str(client.get(path)["export"]["download_url"])


def _announce_download(download: Download, export: dict[str, Any], progress: Progress) -> None:
    """Print notes about the start of a download that the progress bar does not show."""
    size = terminal.format_size(export["size_bytes"])
    if download.starts_over:
        terminal.print_note(
            f"{download.part} belongs to another export or another version of the project. "
            "The download starts from the beginning."
        )
    if download.resumed_at:
        resumed_size = terminal.format_size(download.resumed_at)
        terminal.print_note(f"Resuming {download.part}: {resumed_size} of {size} are downloaded.")
    elif progress.disable:
        terminal.print_note(f"Downloading {size} …")


def _check_download(download: Download, progress: Progress) -> CheckedArchive:
    """Check a complete download; remove a damaged one, because resuming can't fix it."""
    try:
        return _check_with_progress(download.part, progress)
    except DamagedArchiveError as damage:
        download.discard()
        raise DamagedArchiveError(f"{damage} The file was removed. Run the same command again to retry.") from None


def _create_bar(progress: Progress, description: str, total: int) -> Callable[[int], None]:
    """Return a function that sets the number of bytes done, and adds the bar when it is first called."""
    task: TaskID | None = None

    def update(completed: int) -> None:
        nonlocal task
        if task is None:
            task = progress.add_task(description, total=total, completed=completed, files="")
        progress.update(task, completed=completed)

    return update


def _check_with_progress(file: Path, progress: Progress) -> CheckedArchive:
    size = file.stat().st_size
    task = progress.add_task("checking", total=size, files="")
    checked = check_archive(file, lambda step: progress.advance(task, step))
    progress.update(task, completed=size)  # the manifest and the headers count too
    return checked


def _create_file_name(project_name: str) -> str:
    """Return a file name that is valid on every system, and leaves room for ``.part.json`` within 255 bytes."""
    name = "".join(c if c.isprintable() and c not in '"\\/<>:|?*%' else "_" for c in project_name)
    name = name.encode()[:200].decode(errors="ignore").strip(" .")
    return f"{name or 'project'}.zip"
