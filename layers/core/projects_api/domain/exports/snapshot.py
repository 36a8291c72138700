"""Snapshots: the content of a project at one moment, with a pin for each artifact.

The first worker of an export takes the snapshot and stores it next to the archive. All workers of the export, even
concurrent ones, assemble the same archive from it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from projects_api.archive.manifest import File, list_files
from projects_api.domain.exports.artifact_errors import archived_error, missing_error
from projects_api.domain.exports.previous_archive import PreviousArchive
from projects_api.domain.exports.stored_checksums import add_known_checksums
from projects_api.entities.content import Content, Pin
from projects_api.entities.errors import ProjectNotFoundError
from projects_api.entities.ids import ProjectId
from projects_api.entities.resource import ResourceType
from projects_api.storage.dynamodb import member_store, project_store, resource_store
from projects_api.storage.s3 import artifact_store

#: Number of attempts to read a project without a change meanwhile.
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The snapshot of a project.

    Attributes:
        content: The project, its members and its resources.
        files: The files of the archive, in their order.
        pins: The pin of each file's artifact, in the same order.
        previous: The archive that unchanged files are copied from.
    """

    content: Content
    files: list[File]
    pins: list[Pin]
    previous: PreviousArchive | None = None


def read_content(project_id: ProjectId, on_revision: Callable[[int], None]) -> Content:
    """Return the project, its members and its resources at one moment.

    The function reads them one after the other, and starts over if the project's revision has changed meanwhile. After
    ``ATTEMPTS`` attempts, it returns the content as it was read. Parts of that content may be newer than its revision.

    Args:
        project_id: The project.
        on_revision: Called with the revision of the content before the project is read again. A client that has seen a
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
    if project is None or project.deleted_at:
        raise ProjectNotFoundError
    return replace(content, project=replace(content.project, counts=_count_resources(content)))


def _count_resources(content: Content) -> dict[ResourceType, int]:
    counts = dict.fromkeys(ResourceType, 0)
    for resource in content.resources:
        counts[resource.type] += 1
    return counts


def pin_artifacts(content: Content, previous: PreviousArchive | None, should_continue: Callable[[], bool]) -> Snapshot:
    """Return a snapshot of the content with the artifacts in their current state.

    Args:
        content: The content.
        previous: The archive that unchanged files are copied from, if there is one.
        should_continue: Called before each request for a checksum. Returns False to stop the work.

    Raises:
        ArtifactError: Artifacts are missing or archived.
        CancelledError: ``should_continue`` returned False.
    """
    files = list_files(content)
    keys = dict.fromkeys(file.artifact.key for file in files)
    artifacts = artifact_store.list_all(content.project.id) if files else ()
    listed = {artifact.pin.key: artifact for artifact in artifacts if artifact.pin.key in keys}
    if missing := [key for key in keys if key not in listed]:
        raise missing_error(missing)
    if archived := [key for key in keys if listed[key].archived]:
        raise archived_error(archived)
    pins = [listed[key].pin for key in keys]
    pins = add_known_checksums(pins, previous.index if previous else None, should_continue)
    return Snapshot(content, files, pins, previous)


def restore_snapshot(content: Content, pins: list[Pin], previous: PreviousArchive | None) -> Snapshot:
    """Return the snapshot of ``content`` whose artifacts were pinned earlier."""
    return Snapshot(content, list_files(content), pins, previous)
