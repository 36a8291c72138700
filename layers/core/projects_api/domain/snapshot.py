"""What an export is of: the project as it was at one moment, with every artifact pinned to one content.

It is taken once for an export and kept beside its archive, so that every run of its workers, and two at once, make the
same archive of it.
"""

import gzip
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from projects_api.archive.manifest import Content, File, files_of
from projects_api.model.entities import ResourceType
from projects_api.model.errors import ProjectNotFoundError
from projects_api.model.ids import ProjectId
from projects_api.storage import artifacts, items, members, projects, resources
from projects_api.storage.artifacts import Pin

#: How often a project is read in the hope that it stands still meanwhile.
ATTEMPTS = 5


class ArtifactError(Exception):
    """An artifact is missing or has changed. The text names it, and is shown to clients."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content, its files in the archive's order, and what each file's object was."""

    content: Content
    files: list[File]
    pins: list[Pin]


def read_content(project_id: ProjectId, tell: Callable[[int], None]) -> Content:
    """The project, its members and its resources, all as they were at one moment.

    They are read one after the other, and again if the project's revision has grown meanwhile. One that never stands
    still is taken as it was read, parts of it newer than its revision says.

    Args:
        project_id: The project.
        tell: Called with the revision that was read, before the project is looked at again: so nobody who has seen a
            newer revision joins this export.

    Raises:
        ProjectNotFoundError: It is gone.
    """
    project = projects.get(project_id)
    for _ in range(ATTEMPTS):
        if project is None or project.deleted_at:
            raise ProjectNotFoundError
        content = Content(project, members.page(project_id, limit=None, offset=0), list(resources.all_of(project_id)))
        tell(content.project.revision)
        project = projects.get(project_id)
        if project and project.revision == content.project.revision:
            break
    return replace(content, project=replace(content.project, counts=_counts(content)))


def _counts(content: Content) -> dict[ResourceType, int]:
    counts = dict.fromkeys(ResourceType, 0)
    for resource in content.resources:
        counts[resource.type] += 1
    return counts


def pinned(content: Content) -> Snapshot:
    """The content with its artifacts as they are now.

    Raises:
        ArtifactError: One is missing.
    """
    files = files_of(content)
    wanted = {file.artifact.key for file in files}
    found = {pin.key: pin for pin in artifacts.pins(content.project.id) if pin.key in wanted} if files else {}
    for file in files:
        if file.artifact.key not in found:
            raise ArtifactError(
                f"The artifact {file.artifact.key} of {file.resource.type} '{file.resource.name}' is not in the bucket."
                " Upload it, or delete the resource, and export again."
            )
    return Snapshot(content, files, [found[file.artifact.key] for file in files])


def encode(taken: Snapshot) -> bytes:
    """A snapshot to be kept: gzipped lines of JSON."""
    project = taken.content.project
    packed = io.BytesIO()
    with gzip.open(packed, "wt", compresslevel=1, encoding="utf-8") as lines:

        def write(rows: Sequence[object]) -> None:
            lines.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)

        write([items.project_to_item(project), len(taken.content.members), len(taken.content.resources)])
        write([items.member_to_item(project.id, member) for member in taken.content.members])
        for resource in taken.content.resources:
            write([items.resource_to_item(project.id, resource)])
        for pin in taken.pins:
            write([[pin.key, pin.etag, pin.size]])
    return packed.getvalue()


def decode(data: bytes) -> Snapshot:
    """The snapshot that ``encode`` made ``data`` of."""
    with gzip.open(io.BytesIO(data), "rt", encoding="utf-8") as lines:
        rows = map(json.loads, lines)
        project, member_count, resource_count = (next(rows) for _ in range(3))
        content = Content(
            items.project_from_item(project),
            [items.member_from_item(next(rows)) for _ in range(member_count)],
            [items.resource_from_item(next(rows)) for _ in range(resource_count)],
        )
        return Snapshot(content, files_of(content), [Pin(*row) for row in rows])
