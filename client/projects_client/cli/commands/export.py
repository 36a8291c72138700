"""Commands ``projects export``, ``download`` and ``verify``: create, download and check an archive."""

from pathlib import Path
from typing import Annotated, Any

import typer

from projects_client.archive_check import check_archive
from projects_client.archive_export import check_folder, find_target
from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, ProjectArgument, find_project
from projects_client.cli.commands.resource_types import ResourceType
from projects_client.cli.progress_bars import show_progress
from projects_client.errors import InvalidInputError, ProjectsClientError
from projects_client.file_download import download_files, select_paths
from projects_client.progress import Step, format_size

app = typer.Typer()


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
    update: Annotated[
        bool,
        typer.Option(
            "--update", "-u", help="Replace an older archive, and download only what is new.", show_default=False
        ),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Create the archive without using the previous one.", show_default=False)
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing file.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Download a project as a ZIP archive, and check every file in it.

    To resume an interrupted download, run the same command again.
    """
    if fresh and export_id is not None:
        raise InvalidInputError("--fresh creates a new export. Leave out --export.")
    check_folder(output)
    project = find_project(context, id_or_name)

    def describe_state(stage: str) -> str:
        part = Path(f"{find_target(output, project.name)}.part")
        if stage in {"", "exporting"}:
            return "The service continues the export. Run the same command again to download it."
        if part.exists():
            return f"Run the same command again to resume from the end of {part}."
        return "Nothing has been downloaded. Run the same command again to start the download."

    with show_progress(describe_state) as bars:
        result = project.export(
            output,
            update=update,
            force=force,
            fresh=fresh,
            export_id=export_id,
            progress=bars,
            note=terminal.print_note,
        )
    if not as_json:
        print(result.path)
        return
    shown_export = result.export.raw | {"download_url": None, "download_url_expires_at": None}  # downloaded already
    values: dict[str, Any] = {
        "file": str(result.path),
        "resumed_at": result.resumed_at,
        "reused_bytes": result.reused_bytes,
        "downloaded_bytes": result.downloaded_bytes,
        "files": result.files,
        "export": shown_export,
    }
    terminal.print_json(values)


@app.command()
def download(
    context: typer.Context,
    id_or_name: ProjectArgument,
    patterns: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH or GLOB]...", help="Paths, folders or globs in the archive.", show_default="all"),
    ] = None,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write to.", show_default="current folder")
    ] = Path(),
    resource_type: Annotated[
        ResourceType | None,
        typer.Option("--type", "-t", help="Only files of resources of this type.", show_default="all"),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Replace existing files that differ.", show_default=False)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Download files of a project, without the rest of its archive.

    To resume an interrupted download, run the same command again: files that are complete are not downloaded again.
    """
    if not output.is_dir():
        raise ProjectsClientError(f"There is no folder {output}. Create it, or choose another one.")
    project = find_project(context, id_or_name)
    with show_progress(lambda _: "Run the same command again to resume.") as bars:
        archive = project.archive(progress=bars)
        paths = select_paths(archive.read_manifest(), patterns or [], resource_type)
        files = download_files(archive, paths, output, force=force, on_progress=bars)
    if as_json:
        rows = [
            {"path": each.path, "file": str(each.file), "size": each.size, "was_there": each.was_there}
            for each in files
        ]
        terminal.print_json({"files": rows})
        return
    for each in files:
        print(terminal.replace_control_characters(str(each.file)))
    count = sum(not each.was_there for each in files)
    size = format_size(sum(each.size for each in files if not each.was_there))
    there = len(files) - count
    terminal.print_note(
        f"Downloaded {terminal.format_count(count, 'file')}, {size}, and checked their CRC-32."
        + (f" {terminal.format_count(there, 'file')} were there already." if there else "")
    )


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="An archive of a project.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check every file of an archive against its manifest, without the API."""
    size, done = file.stat().st_size, 0
    with show_progress(lambda _: "The check is not complete.") as bars:

        def advance(step: int) -> None:
            nonlocal done
            done += step
            bars(Step("checking", done, size))

        checked = check_archive(file, advance)
        bars(Step("checking", size, size))  # the manifest and the headers count too
    result = {"file": str(file), "files": checked.files, "bytes": checked.bytes}
    sentence = f"{file} is intact: {terminal.format_count(checked.files, 'file')}, {format_size(checked.bytes)}."
    terminal.print_result(result, sentence, as_json=as_json)
