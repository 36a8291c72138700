"""The files of an archive, and the manifest that lists them.

``docs/reference/manifest.schema.json`` describes the manifest as a JSON Schema, and ``manifest_reader`` reads it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from projects_api.archive.export_paths import unique_paths
from projects_api.entities.clock import sortable
from projects_api.entities.content import Content
from projects_api.entities.resource import Artifact, Resource, artifacts_prefix

MANIFEST_PATH = "manifest.json"

#: The version of the manifest that this module writes. Version 2 has six digits of a second in each time, the origin of
#: imported resources, and the original name of each file.
FORMAT_VERSION = 2
FORMAT_PREFIX = "projects-export/"
FORMAT = f"{FORMAT_PREFIX}{FORMAT_VERSION}"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the archive.

    Attributes:
        path: The path in the archive.
        artifact: The artifact that the file is a copy of.
        resource: The resource that the artifact belongs to.
    """

    path: str
    artifact: Artifact
    resource: Resource


def list_files(content: Content) -> list[File]:
    """Return the files of an archive in the order of their keys.

    An artifact that two resources refer to appears once, as a file of the first of them.
    """
    prefix = artifacts_prefix(content.project.id)
    resources: dict[str, Resource] = {}
    for resource in content.resources:
        if resource.artifact:
            resources.setdefault(resource.artifact.key, resource)
    keys = sorted(resources)
    paths = unique_paths((key.removeprefix(prefix) for key in keys), taken=[MANIFEST_PATH])
    return [
        File(path, artifact, resources[key])
        for key, path in zip(keys, paths, strict=True)
        if (artifact := resources[key].artifact)
    ]


def encode_manifest(
    content: Content, files: Sequence[File], sizes: Sequence[int], crc32s: Iterable[int]
) -> Iterator[bytes]:
    """Return the manifest as JSON in UTF-8, one row at a time, because a manifest can reach tens of megabytes.

    The manifest contains the project, its members, all resources with their fields, and all files. The same content
    always gives the same bytes, regardless of when and by whom it is exported. The size does not depend on the
    checksums, because each is written as 8 hexadecimal digits, like ``unzip -v`` prints them.

    Args:
        content: The content of the export.
        files: The files of the archive.
        sizes: The size of each file in bytes.
        crc32s: The CRC-32 of each file. A longer, or an infinite, iterable is allowed.
    """
    project = content.project
    paths = {file.artifact.key: file.path for file in files}
    lists: dict[str, Iterator[dict[str, Any]]] = {
        "members": (
            {
                "user_id": member.user_id,
                "email": member.email,
                "name": member.name,
                "role": member.role,
                "created_at": sortable(member.created_at),
            }
            for member in content.members
        ),
        "resources": (_resource_row(resource, paths) for resource in content.resources),
        "files": (
            {
                "path": file.path,
                "file_name": file.artifact.file_name,
                "size": size,
                "crc32": f"{crc32:08x}",
                "content_type": file.artifact.content_type,
                "resource_id": file.resource.id,
            }
            for file, size, crc32 in zip(files, sizes, crc32s, strict=False)
        ),
    }
    project_row = {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "status": "active",
        "owner_id": project.owner_id,
        **{f"{type_}_count": count for type_, count in project.counts.items()},
        "created_at": sortable(project.created_at),
        "updated_at": sortable(project.updated_at),
    }
    yield f'{{\n"format": {_json(FORMAT)},\n"project": {_json(project_row)}'.encode()
    for name, rows in lists.items():
        yield f',\n"{name}": ['.encode()
        for number, row in enumerate(rows):
            yield f"{',' if number else ''}\n{_json(row)}".encode()
        yield b"]"
    yield b"\n}\n"


#: Encodes a value as JSON. ``json.dumps`` would make an encoder for each value.
_json = json.JSONEncoder(ensure_ascii=False).encode


def _resource_row(resource: Resource, paths: dict[str, str]) -> dict[str, Any]:
    """Return the row of a resource: the attributes that every resource has, and the resource's own fields.

    An own field that has the name of a common attribute is kept under ``fields``.
    """
    origin = resource.origin
    common = {
        "id": resource.id,
        "type": resource.type,
        "name": resource.name,
        "timestamp": sortable(resource.timestamp),
        "origin": {"project_id": origin.project_id, "resource_id": origin.resource_id} if origin else None,
        "path": paths[resource.artifact.key] if resource.artifact else None,
    }
    hidden = {name: value for name, value in resource.fields.items() if name in {*common, "fields"}}
    return resource.fields | common | ({"fields": hidden} if hidden else {})
