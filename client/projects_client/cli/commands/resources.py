"""Commands ``projects upload`` and ``projects resources``: add, list, show and delete resources."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from projects_client.cli import terminal
from projects_client.cli.commands.options import AsJson, Limit, ProjectArgument, Yes, confirm, find_project
from projects_client.cli.commands.resource_types import ResourceType
from projects_client.cli.progress_bars import show_progress
from projects_client.errors import InvalidInputError
from projects_client.project import Project, match_id

app = typer.Typer()
resources = typer.Typer(help="List, show and delete the resources of a project.", no_args_is_help=True)

COLUMNS = ("TIME", "TYPE", "NAME", "DETAILS", "ID")

ResourceArgument = Annotated[str, typer.Argument(metavar="RESOURCE", help="The id of a resource.")]


@app.command()
def upload(
    context: typer.Context,
    id_or_name: ProjectArgument,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file.")],
    *,
    resource_type: Annotated[ResourceType, typer.Option("--type", "-t", help="The type of the resource.")],
    name: Annotated[
        str | None, typer.Option(help="The name of the resource.", show_default="the name of the file")
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME=VALUE", help="A field, such as rows=100. Repeat the option for several."),
    ] = None,
    content_type: Annotated[
        str | None, typer.Option(help="The content type of the file.", show_default="by the name of the file")
    ] = None,
    replace: Annotated[
        str | None, typer.Option(metavar="RESOURCE", help="The id of a resource to replace.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload a file of any size as a resource of a project.

    To resume an interrupted upload, run the same command again.
    """
    project = find_project(context, id_or_name)
    with show_progress(lambda _: "Run the same command again to resume the upload.") as bars:
        resource = project.upload(
            file,
            resource_type,
            name=name,
            fields=_parse_fields(fields or []),
            content_type=content_type,
            replace=replace,
            progress=bars,
            note=terminal.print_note,
        )
    sentence = f"Uploaded {file} as the {resource.type} '{resource.name}', {resource.id}."
    terminal.print_result({"resource": resource.raw}, sentence, as_json=as_json)


@resources.command("list")
def list_resources(
    context: typer.Context,
    id_or_name: ProjectArgument,
    *,
    resource_type: Annotated[
        ResourceType | None, typer.Option("--type", "-t", help="Show only this type.", show_default="all")
    ] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the resources of a project, oldest first."""
    page = find_project(context, id_or_name).resources(type=resource_type, limit=limit).read_page()
    terminal.print_page(page, COLUMNS, _create_row, as_json=as_json)


@resources.command()
def show(
    context: typer.Context, id_or_name: ProjectArgument, resource_id: ResourceArgument, *, as_json: AsJson = False
) -> None:
    """Show a resource. A resource with a file has a download URL that is valid for 15 minutes."""
    project = find_project(context, id_or_name)
    resource = project.resource(_match_resource(project, resource_id)).raw
    if as_json:
        terminal.print_json({"resource": resource})
        return
    shown = dict(resource)
    fields, artifact = shown.pop("fields", None) or {}, shown.pop("artifact", None) or {}
    origin = shown.pop("origin", None)
    terminal.print_fields(
        shown
        | {f"fields.{name}": value for name, value in fields.items()}
        | ({"origin": json.dumps(origin)} if origin else {})
        | artifact
    )


@resources.command()
def delete(
    context: typer.Context,
    id_or_name: ProjectArgument,
    resource_id: ResourceArgument,
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete a resource, and its file if it was uploaded here."""
    project = find_project(context, id_or_name)
    resource_id = _match_resource(project, resource_id)
    confirm(f"Delete the resource {resource_id}?", yes=yes)
    project.delete_resource(resource_id)
    terminal.print_result({"ok": True}, f"The resource {resource_id} is deleted.", as_json=as_json)


def _match_resource(project: Project, text: str) -> str:
    return match_id(text, (resource.id for resource in project.resources()), "a resource")


def _create_row(resource: dict[str, Any]) -> tuple[Any, ...]:
    artifact = resource.get("artifact") or {}
    details = terminal.format_details((resource.get("fields") or {}) | {"file": artifact.get("file_name")})
    return resource["timestamp"], resource["type"], resource["name"], details, resource["id"]


def _parse_fields(texts: list[str]) -> dict[str, Any]:
    """Return fields; a value is JSON if it can be, such as a number, and text otherwise."""
    fields: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            raise InvalidInputError(f"'{text}' is not a field. Use --field NAME=VALUE, such as --field rows=100.")
        fields[name.strip()] = _parse_value(value)
    return fields


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: text)  # NaN and Infinity are not JSON
    except (ValueError, RecursionError):
        return text
