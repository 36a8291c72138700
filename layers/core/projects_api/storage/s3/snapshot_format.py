"""The file format of snapshots: gzip-compressed JSON lines."""

import gzip
import io
import json
from collections.abc import Sequence
from typing import NamedTuple

from projects_api.entities.content import Content, Pin
from projects_api.entities.ids import ExportId
from projects_api.storage.dynamodb import item_mapping


class StoredSnapshot(NamedTuple):
    """A snapshot as a file contains it.

    Attributes:
        content: The project, its members and its resources.
        pins: The pins of the artifacts.
        previous: The export whose archive unchanged files are copied from, and the ETag of the archive.
    """

    content: Content
    pins: Sequence[Pin]
    previous: tuple[ExportId, str] | None = None


def encode_snapshot(snapshot: StoredSnapshot) -> bytes:
    """Return a snapshot as gzip-compressed JSON lines.

    The first four lines are the previous archive, the project and the numbers of members and resources. The members,
    the resources and the pins follow, one per line.
    """
    content = snapshot.content
    project = content.project
    buffer = io.BytesIO()
    with gzip.open(buffer, "wt", compresslevel=1, encoding="utf-8") as lines:

        def write(rows: Sequence[object]) -> None:
            lines.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)

        write([snapshot.previous, item_mapping.project_to_item(project), len(content.members), len(content.resources)])
        write([item_mapping.member_to_item(project.id, member) for member in content.members])
        for resource in content.resources:
            write([item_mapping.resource_to_item(project.id, resource)])
        for pin in snapshot.pins:
            write([[pin.key, pin.etag, pin.size, pin.crc32]])
    return buffer.getvalue()


def decode_snapshot(data: bytes) -> StoredSnapshot:
    """Return the snapshot that ``encode_snapshot`` has encoded as ``data``."""
    with gzip.open(io.BytesIO(data), "rt", encoding="utf-8") as lines:
        rows = map(json.loads, lines)
        previous, project, member_count, resource_count = (next(rows) for _ in range(4))
        content = Content(
            item_mapping.project_from_item(project),
            [item_mapping.member_from_item(next(rows)) for _ in range(member_count)],
            [item_mapping.resource_from_item(next(rows)) for _ in range(resource_count)],
        )
        return StoredSnapshot(content, [Pin(*row) for row in rows], (previous[0], previous[1]) if previous else None)
