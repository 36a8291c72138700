"""The file format of snapshots: gzip-compressed JSON lines."""

import gzip
import io
import json
from collections.abc import Sequence

from projects_api.entities.snapshot import Content, Pin
from projects_api.storage.dynamodb import item_mapping


def encode_snapshot(content: Content, pins: Sequence[Pin]) -> bytes:
    """Return a snapshot as gzip-compressed JSON lines.

    The first three lines are the project and the numbers of members and resources. The members, the resources and the
    pins follow, one per line.
    """
    project = content.project
    buffer = io.BytesIO()
    with gzip.open(buffer, "wt", compresslevel=1, encoding="utf-8") as lines:

        def write(rows: Sequence[object]) -> None:
            lines.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)

        write([item_mapping.project_to_item(project), len(content.members), len(content.resources)])
        write([item_mapping.member_to_item(project.id, member) for member in content.members])
        for resource in content.resources:
            write([item_mapping.resource_to_item(project.id, resource)])
        for pin in pins:
            write([[pin.key, pin.etag, pin.size]])
    return buffer.getvalue()


def decode_snapshot(data: bytes) -> tuple[Content, list[Pin]]:
    """Return the content and the pins that ``encode_snapshot`` has encoded as ``data``."""
    with gzip.open(io.BytesIO(data), "rt", encoding="utf-8") as lines:
        rows = map(json.loads, lines)
        project, member_count, resource_count = (next(rows) for _ in range(3))
        content = Content(
            item_mapping.project_from_item(project),
            [item_mapping.member_from_item(next(rows)) for _ in range(member_count)],
            [item_mapping.resource_from_item(next(rows)) for _ in range(resource_count)],
        )
        return content, [Pin(*row) for row in rows]
