"""Uploaded files: their object keys, and their deletion with the last resource that names them."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

from projects_api.archive.export_paths import safe_path
from projects_api.domain.resumption import resume_each
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.resource import Artifact, ResourceType, artifacts_prefix
from projects_api.storage.dynamodb import file_store, pending_work
from projects_api.storage.s3 import artifact_store


def object_key(project_id: ProjectId, type_: ResourceType, resource_id: ResourceId, file_name: str) -> str:
    """Return the key of a resource's file: its folder and the last part of its name, safe on any operating system."""
    name = safe_path(file_name).rpartition("/")[2]
    return f"{artifacts_prefix(project_id)}{type_}s/{resource_id}/{name}"


def download_name(artifact: Artifact) -> str:
    """Return the name that a browser saves an artifact under."""
    return safe_path(artifact.file_name).rpartition("/")[2]


def delete_unreferenced(project_id: ProjectId, keys: Iterable[str]) -> None:
    """Delete the objects of files that no resource names any more.

    A temporary error is ignored: the recovery job deletes what remains.
    """
    with suppress(StorageUnavailableError):
        for key in keys:
            _delete(project_id, key)


def delete_overdue(*, by: datetime, should_continue: Callable[[], bool]) -> int:
    """Delete the files that are due for deletion, and return how many.

    Raises:
        StorageUnavailableError: At least one file was not deleted. The next run deletes it.
    """

    def delete_unused(ids: tuple[ProjectId, str]) -> int:
        project_id, digest = ids
        file = file_store.get_by_digest(project_id, digest)
        return file is not None and file.upload_id is None and _delete(project_id, file.key)

    return resume_each(pending_work.find_unreferenced_files(by=by), delete_unused, should_continue=should_continue)


def _delete(project_id: ProjectId, key: str) -> bool:
    """Delete all versions of a file's object, then its item. Return False if a resource or an upload needs the file."""
    if not file_store.begin_deletion(project_id, key):
        return False
    artifact_store.delete_versions(key)
    file_store.delete(project_id, key)
    return True
