"""Snapshots: the content of a project at one moment, with a pin for each artifact.

The first worker of an export takes the snapshot and stores it next to the archive. All workers of the export, even
concurrent ones, assemble the same archive from it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from projects_api.archive.manifest import File, list_files
from projects_api.entities.errors import ProjectNotFoundError
from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import ResourceType
from projects_api.entities.snapshot import Content, Pin
from projects_api.storage.dynamodb import member_store, project_store, resource_store
from projects_api.storage.s3 import artifact_store

#: Number of times that a project is read until its revision stays the same meanwhile.
ATTEMPTS = 5


class ArtifactError(Exception):
    """An artifact is missing or has changed. Clients see the message, which contains the artifact's key."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The snapshot of a project.

    Attributes:
        content: The project, its members and its resources.
        files: The files of the archive, in their order.
        pins: The pin of each file's artifact, in the same order.
    """

    content: Content
    files: list[File]
    pins: list[Pin]


def read_content(project_id: ProjectId, on_revision: Callable[[int], None]) -> Content:
    """Return the project, its members and its resources at one moment.

    The function reads them one after the other, and starts over if the project's revision has changed meanwhile. After
    ``ATTEMPTS`` attempts, it returns the content as it was read. Parts of that content may be newer than its revision.

    Args:
        project_id: The project.
        on_revision: Called with the revision of the content before the project is read again. A caller who has seen a
            newer revision can therefore not join this export.

    Raises:
        ProjectNotFoundError: The project was deleted.
    """
    project = project_store.get(project_id)
    for _ in range(ATTEMPTS):
        if project is None or project.deleted_at:
            raise ProjectNotFoundError
        content = Content(
            project, member_store.list_page(project_id, limit=None, offset=0), list(resource_store.list_all(project_id))
        )
        on_revision(content.project.revision)
        project = project_store.get(project_id)
        if project and project.revision == content.project.revision:
            break
    return replace(content, project=replace(content.project, counts=_count_resources(content)))


def _count_resources(content: Content) -> dict[ResourceType, int]:
    counts = dict.fromkeys(ResourceType, 0)
    for resource in content.resources:
        counts[resource.type] += 1
    return counts


def pin_artifacts(content: Content) -> Snapshot:
    """Return a snapshot of the content with the artifacts in their current state.

    Raises:
        ArtifactError: An artifact is missing.
    """
    files = list_files(content)
    keys = {file.artifact.key for file in files}
    pins = {pin.key: pin for pin in artifact_store.list_pins(content.project.id) if pin.key in keys} if files else {}
    for file in files:
        if file.artifact.key not in pins:
            raise ArtifactError(
                f"The artifact {file.artifact.key} of {file.resource.type} '{file.resource.name}' is not in the bucket."
                " Upload it or delete the resource, then start a new export."
            )
    return Snapshot(content, files, [pins[file.artifact.key] for file in files])


def restore_snapshot(content: Content, pins: list[Pin]) -> Snapshot:
    """Return the snapshot of ``content`` whose artifacts were pinned earlier."""
    return Snapshot(content, list_files(content), pins)
