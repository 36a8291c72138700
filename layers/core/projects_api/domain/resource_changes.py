"""The write of changed resources: in one transaction with the counts, the activity and the uploaded files."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from projects_api.entities.activity_entry import (
    UNKNOWN,
    ActivityAction,
    ActivityEntry,
    ActivityObject,
    Values,
    new_entry,
)
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import now, rfc3339
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId
from projects_api.entities.project import Project
from projects_api.entities.resource import Resource, UploadedFile
from projects_api.entities.upload import Upload
from projects_api.storage.dynamodb import (
    announcement_store,
    file_store,
    resource_store,
    upload_store,
)


def _new_entry(project_id: ProjectId, before: Resource | None, after: Resource) -> ActivityEntry:
    """Return the one entry of a change, however many events it merges."""
    action = ActivityAction.RESOURCE_UPDATED if before else ActivityAction.RESOURCE_CREATED
    if after.deleted:
        action = ActivityAction.RESOURCE_DELETED
    return new_entry(
        project_id,
        after.changed_by or UNKNOWN,
        action,
        ActivityObject(after.type, after.id, (before.name if after.deleted and before else after.name) or None),
        before=_values(before) if before else None,
        after=None if after.deleted else _values(after),
    )


def _values(resource: Resource) -> Values:
    values = {"name": resource.name, "timestamp": rfc3339(resource.timestamp)}
    if resource.artifact:
        values["artifact"] = resource.artifact.key
    return values | {f"fields.{name}": value for name, value in resource.fields.items()}


def artifact_keys(resources: Iterable[Resource]) -> set[str]:
    """Return the keys of the artifacts of the resources that are not deleted."""
    return {resource.artifact.key for resource in resources if resource.artifact and not resource.deleted}


class ResourceChanges:
    """The changes of one transaction: resources, and how many of them name each uploaded file.

    Attributes:
        resources: For each resource, its state when it was read, or None for a new one, and its new state.
        unreferenced: The keys of the uploaded files that no resource names after the transaction.
    """

    def __init__(
        self,
        project_id: ProjectId,
        resources: Sequence[tuple[Resource | None, Resource]],
        files: Mapping[str, UploadedFile],
        *,
        completed: Upload | None = None,
    ) -> None:
        """Compute the changes.

        Args:
            project_id: The project.
            resources: The resources.
            files: The uploaded files among their artifacts, by key, as they were read. Those of the previous state are
                read if they are missing.
            completed: The upload whose file one of the resources names for the first time.
        """
        self.resources = [(before, _mark_uploaded(after, files, completed)) for before, after in resources]
        differences: Counter[str] = Counter()
        for before, after in self.resources:
            for resource, difference in ((before, -1), (after, 1)):
                if resource and resource.artifact and resource.artifact.uploaded and not resource.deleted:
                    differences[resource.artifact.key] += difference
        keys = {key for key, difference in differences.items() if difference or (completed and key == completed.key)}
        all_files = {**files, **resource_store.get_files(project_id, keys - files.keys())}
        moment = now()
        self.unreferenced: list[str] = []
        self.file_writes = []
        for key in sorted(keys & all_files.keys()):
            count = max(all_files[key].resource_count + differences[key], 0)
            size = completed.size_bytes if completed and key == completed.key else None
            self.file_writes.append(
                file_store.build_count_update(
                    project_id, all_files[key], resource_count=count, moment=moment, size_bytes=size
                )
            )
            if count == 0:
                self.unreferenced.append(key)


def _mark_uploaded(resource: Resource, files: Mapping[str, UploadedFile], completed: Upload | None) -> Resource:
    """Return the resource, with its artifact marked if the artifact is a file that was uploaded here."""
    artifact = resource.artifact
    if artifact is None or resource.deleted:
        return resource
    if completed and artifact.key == completed.key:
        return replace(resource, artifact=replace(artifact, uploaded=True, size_bytes=completed.size_bytes))
    file = files.get(artifact.key)
    if file is None or file.deleting or file.resource_count == 0:
        return resource
    return replace(resource, artifact=replace(artifact, uploaded=True, size_bytes=file.size_bytes))


def write_changes(
    project: Project,
    changes: ResourceChanges,
    *announced: Announcement,
    completed: Upload | None = None,
    request: IdempotentRequest | None = None,
    result: dict[str, Any] | None = None,
) -> None:
    """Write changes with their entries of the activity and their announcements, in one transaction.

    Args:
        project: The project as it was read.
        changes: The changes.
        *announced: The announcements.
        completed: The upload whose file the first resource names for the first time.
        request: The request, if it has an Idempotency-Key.
        result: What a repeated request needs to return the first result.

    Raises:
        ConditionFailedError: A resource, a file or the upload has changed since it was read, or the project is deleted.
    """
    writes = [*changes.file_writes, *map(announcement_store.build_put, announced)]
    if completed:
        writes += upload_store.build_completion(completed, changes.resources[0][1], now())
    entries = (_new_entry(project.id, *change) for change in changes.resources)
    resource_store.record(project, changes.resources, entries, *writes, request=request, result=result or {})
