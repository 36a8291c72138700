"""What an export is of: the project as it was at one moment, with every artifact pin_artifacts to one content.

It is taken once for an export and kept beside its archive, so that every run of its workers, and two at once, make the
same archive of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from projects_api.archive.manifest import File, files_of
from projects_api.entities.errors import ProjectNotFoundError
from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import ResourceType
from projects_api.entities.snapshot import Content, Pin
from projects_api.storage.dynamodb import member_store, project_store, resource_store
from projects_api.storage.s3 import artifact_store

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


def read_content(project_id: ProjectId, on_revision: Callable[[int], None]) -> Content:
    """The project, its members and its resources, all as they were at one moment.

    They are read one after the other, and again if the project's revision has grown meanwhile. One that never stands
    still is taken as it was read, parts of it newer than its revision says.

    Args:
        project_id: The project.
        on_revision: Called with the revision that was read, before the project is looked at again: so nobody who has seen a
            newer revision joins this export.

    Raises:
        ProjectNotFoundError: It is gone.
    """
    project = project_store.get(project_id)
    for _ in range(ATTEMPTS):
        if project is None or project.deleted_at:
            raise ProjectNotFoundError
        content = Content(
            project, member_store.page(project_id, limit=None, offset=0), list(resource_store.all_of(project_id))
        )
        on_revision(content.project.revision)
        project = project_store.get(project_id)
        if project and project.revision == content.project.revision:
            break
    return replace(content, project=replace(content.project, counts=_counts(content)))


def _counts(content: Content) -> dict[ResourceType, int]:
    counts = dict.fromkeys(ResourceType, 0)
    for resource in content.resources:
        counts[resource.type] += 1
    return counts


def pin_artifacts(content: Content) -> Snapshot:
    """The content with its artifacts as they are now.

    Raises:
        ArtifactError: One is missing.
    """
    files = files_of(content)
    wanted = {file.artifact.key for file in files}
    found = {pin.key: pin for pin in artifact_store.pins(content.project.id) if pin.key in wanted} if files else {}
    for file in files:
        if file.artifact.key not in found:
            raise ArtifactError(
                f"The artifact {file.artifact.key} of {file.resource.type} '{file.resource.name}' is not in the bucket."
                " Upload it, or delete the resource, and export again."
            )
    return Snapshot(content, files, [found[file.artifact.key] for file in files])


def restore_snapshot(content: Content, pins: list[Pin]) -> Snapshot:
    """Return the snapshot of ``content`` whose artifacts were pinned before."""
    return Snapshot(content, files_of(content), pins)
