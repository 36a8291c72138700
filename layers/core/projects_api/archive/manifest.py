"""What an archive holds: its manifest, and the order of its files."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from projects_api.archive.paths import unique_paths
from projects_api.entities.clock import rfc3339
from projects_api.entities.resource import Artifact, Resource, artifacts_prefix
from projects_api.entities.snapshot import Content

MANIFEST_PATH = "manifest.json"
FORMAT = "projects-export/1"


@dataclass(frozen=True, slots=True)
class File:
    """An artifact's place in the archive."""

    path: str
    artifact: Artifact
    resource: Resource


def files_of(content: Content) -> list[File]:
    """The files of an archive, in the order of their keys; an object that two resources name is there once."""
    prefix = artifacts_prefix(content.project.id)
    named: dict[str, Resource] = {}
    for resource in content.resources:
        if resource.artifact:
            named.setdefault(resource.artifact.key, resource)
    keys = sorted(named)
    paths = unique_paths((key.removeprefix(prefix) for key in keys), taken=[MANIFEST_PATH])
    return [
        File(path, artifact, named[key])
        for key, path in zip(keys, paths, strict=True)
        if (artifact := named[key].artifact)
    ]


def manifest(content: Content, files: Sequence[File], sizes: Sequence[int], crc32s: Iterable[int]) -> Iterator[bytes]:
    """The manifest as JSON in UTF-8: the project, its members, every resource with its fields, and every file.

    It depends on the content alone, not on when or by whom it is exported, so that the same content gives the same
    bytes; and its size does not depend on the CRC-32s, which are written as 8 hexadecimal digits, as by ``unzip -v``.
    It comes a row at a time, since all of it may be tens of megabytes.
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
                "created_at": rfc3339(member.created_at),
            }
            for member in content.members
        ),
        "resources": (_resource(resource, paths) for resource in content.resources),
        "files": (
            {
                "path": file.path,
                "size": size,
                "crc32": f"{crc32:08x}",
                "content_type": file.artifact.content_type,
                "resource_id": file.resource.id,
            }
            for file, size, crc32 in zip(files, sizes, crc32s, strict=False)
        ),
    }
    about = {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "status": "active",
        "owner_id": project.owner_id,
        **{f"{type_}_count": count for type_, count in project.counts.items()},
        "created_at": rfc3339(project.created_at),
        "updated_at": rfc3339(project.updated_at),
    }
    yield f'{{\n"format": {_json(FORMAT)},\n"project": {_json(about)}'.encode()
    for name, rows in lists.items():
        yield f',\n"{name}": ['.encode()
        for number, row in enumerate(rows):
            yield f"{',' if number else ''}\n{_json(row)}".encode()
        yield b"]"
    yield b"\n}\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _resource(resource: Resource, paths: dict[str, str]) -> dict[str, Any]:
    """A resource's row: what every resource has, and beside it its own fields.

    A field of its own that is called as one that every resource has stands in ``fields``, so that none is lost.
    """
    common = {
        "id": resource.id,
        "type": resource.type,
        "name": resource.name,
        "timestamp": rfc3339(resource.timestamp),
        "path": paths[resource.artifact.key] if resource.artifact else None,
    }
    hidden = {name: value for name, value in resource.fields.items() if name in {*common, "fields"}}
    return resource.fields | common | ({"fields": hidden} if hidden else {})
