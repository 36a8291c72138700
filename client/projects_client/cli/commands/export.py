"""``projects export``: a project's archive, made, downloaded, and checked to the last byte."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID

from projects_client import archive_check
from projects_client.api import Api
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, ProjectArgument, api_of
from projects_client.download import Download
from projects_client.errors import CommandError, ConflictError, DamagedError, ExportFailedError, InvalidInputError

app = typer.Typer()

#: How long to wait between two looks at an export, at first and at most, in seconds.
FIRST_POLL_DELAY, MAX_POLL_DELAY = 0.2, 2.0

#: How long nothing is said without a terminal while an export is made, in seconds.
SILENCE = 2.0

UNFINISHED = {"pending", "running"}


@app.command()
def export(
    context: typer.Context,
    project: ProjectArgument,
    *,
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="The file to write, or the folder to write it in.", show_default="here"),
    ] = ".",
    export_id: Annotated[
        str | None,
        typer.Option("--export", help="Download this earlier export.", show_default="the project as it is now"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace the file.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Download a project as one ZIP, and check every file in it.

    What was broken off goes on where it ended: give the same command again.
    """
    _check_writable(output)
    api = api_of(context)
    found = api.project(project)
    target = Path(output) / _file_name(found["name"]) if Path(output).is_dir() else Path(output)
    _check_free(target, force=force)
    with _alone(target), terminal.progress() as bars:
        exports = f"/{found['id']}/exports"
        begun = api.post(exports) if export_id is None else api.export(found["id"], export_id)
        with _stopped(bars, lambda: "The export goes on without you: the same command picks it up."):
            made = _wait(api, exports, begun["export"], bars)
        download = Download(
            made["id"],
            made["size_bytes"],
            target,
            sign=lambda: _url(api, f"{exports}/{made['id']}"),
            tell=_bar(bars, "downloading", made["size_bytes"]),
        )
        if download.part_is_foreign and not force:
            raise ConflictError(f"{download.part} is no download: give another name, or --force to replace it.")
        _announce(download, made, bars)
        with _stopped(bars, lambda: _left(download.part)):
            download.run()
        checked = _check(download, bars)
        if not force and target.exists():
            raise ConflictError(f"{target} is there by now: the same command with --force replaces it.")
        download.finish()
    terminal.note(
        f"Checked: {terminal.plural(checked.files, 'file')}, {terminal.size(checked.bytes)}; "
        "each has the size and the CRC-32 that the manifest says."
    )
    if as_json:
        made["download_url"] = made["download_url_expires_at"] = None  # it has been used
        terminal.data({"file": str(target), "resumed_at": download.resumed_at, "files": checked.files, "export": made})
    else:
        print(target)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The archive of a project.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check every file of an archive against its manifest; this needs no API."""
    with terminal.progress() as bars:
        checked = _read_through(file, bars)
    answer = {"file": str(file), "files": checked.files, "bytes": checked.bytes}
    sentence = f"{file} is whole: {terminal.plural(checked.files, 'file')}, {terminal.size(checked.bytes)}."
    terminal.done(answer, sentence, as_json=as_json)


@contextmanager
def _stopped(bars: Progress, what: Callable[[], str]) -> Iterator[None]:
    """Says what becomes of it where Ctrl-C, or a signal that ends the program, comes meanwhile."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        bars.stop()
        terminal.note(f"Stopped. {what()}")
        raise


def _left(part: Path) -> str:
    if part.exists():
        return f"The same command goes on from where {part} ends."
    return "Nothing has been downloaded: the same command starts the download."


def _check_writable(output: str) -> None:
    """Refuses what no archive could be written to, before one is made."""
    if output == "-":
        raise InvalidInputError("An archive goes into a file, to be checked before it is used: give a name, not '-'.")
    if output.endswith("/") and not Path(output).is_dir():
        raise CommandError(f"There is no folder {output} to write an archive in.")
    if not Path(output).parent.is_dir():
        raise CommandError(f"There is no folder {Path(output).parent} to write {Path(output).name} in.")


def _check_free(target: Path, *, force: bool) -> None:
    """Refuses what is there already, unless it is a file and may be replaced."""
    if target.exists() and not target.is_file():
        raise ConflictError(f"{target} is there, and no file: give another name.")
    if target.exists() and not force:
        raise ConflictError(f"{target} exists already: give another name, or --force to replace it.")


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keeps a second export from writing the same file meanwhile."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - for no other command: it takes a seventh of their start

    lock = FileLock(f"{target}.part.lock", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ConflictError(f"Another `projects export` writes {target}: wait for it, or give another name.") from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it with the lock, and not before
            Path(lock.lock_file).unlink()
        lock.release()


def _wait(api: Api, exports: str, made: dict[str, Any], bars: Progress) -> dict[str, Any]:
    """The export when it is ready; shows what the service has done of it, or where that can't be, says so once."""
    task, pause, waited = bars.add_task("exporting", total=None, files=""), FIRST_POLL_DELAY, 0.0
    while True:
        done = made["progress"]
        bars.update(
            task,
            completed=done["bytes_done"],
            total=done["bytes_total"] or None,
            files=f"{done['files_done']}/{terminal.plural(done['files_total'], 'file')}",
        )
        if made["status"] not in UNFINISHED:
            break
        if bars.disable and waited < SILENCE <= waited + pause:
            terminal.note("Making the export …")
        time.sleep(pause)
        waited += pause
        pause = min(pause * 1.5, MAX_POLL_DELAY)
        made = api.get(f"{exports}/{made['id']}")["export"]
    if made["status"] == "failed":
        raise ExportFailedError(f"The export failed. {made['error'] or 'Start it again.'}")
    return made


def _url(api: Api, path: str) -> str:
    return str(api.get(path)["export"]["download_url"])


def _announce(download: Download, made: dict[str, Any], bars: Progress) -> None:
    """Says of a download what its bar does not tell, or where there is no bar, that it begins."""
    size = terminal.size(made["size_bytes"])
    if download.starts_over:
        terminal.note(f"{download.part} is of another export, or of another version of the project: starting anew.")
    if download.resumed_at:
        terminal.note(f"Going on with {download.part}: {terminal.size(download.resumed_at)} of {size} are there.")
    elif bars.disable:
        terminal.note(f"Downloading {size} …")


def _check(download: Download, bars: Progress) -> archive_check.Checked:
    """What the checked archive holds; a damaged one is removed, since to go on with it would not mend it."""
    try:
        return _read_through(download.part, bars)
    except DamagedError as damage:
        download.discard()
        raise DamagedError(f"{damage} It was removed: the same command downloads it anew.") from None


def _bar(bars: Progress, name: str, total: int) -> Any:
    task: TaskID | None = None

    def tell(done: int) -> None:
        nonlocal task
        if task is None:
            task = bars.add_task(name, total=total, completed=done, files="")
        bars.update(task, completed=done)

    return tell


def _read_through(file: Path, bars: Progress) -> archive_check.Checked:
    size = file.stat().st_size
    task = bars.add_task("checking", total=size, files="")
    checked = archive_check.check(file, lambda step: bars.advance(task, step))
    bars.update(task, completed=size)  # with the manifest and the headers
    return checked


def _file_name(project_name: str) -> str:
    """A file's name that no system refuses, with what stands behind it while it is written: at most 255 bytes."""
    kept = "".join(c if c.isprintable() and c not in '"\\/<>:|?*%' else "_" for c in project_name)
    kept = kept.encode()[:200].decode(errors="ignore").strip(" .")
    return f"{kept or 'project'}.zip"
