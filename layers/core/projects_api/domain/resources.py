"""Resources: record the events of sibling services, and read and change them over HTTP.

Events and requests are recorded by the same code: they have the same versions and limits, and the counts of a project
change in the same transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from projects_api.domain import announcements, projects, uploaded_files
from projects_api.domain.announcements import announce_resource
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require_membership
from projects_api.domain.resource_changes import ResourceChanges, artifact_keys, write_changes
from projects_api.domain.resource_fields import validate_fields
from projects_api.domain.resource_versions import Change, merge_event, resource_from_event
from projects_api.entities.activity_entry import Actor
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import now, parse, sortable
from projects_api.entities.errors import InvalidInputError, ProjectNotFoundError, ResourceNotFoundError
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, ResourceId, UserId, new_id
from projects_api.entities.project import Membership
from projects_api.entities.resource import Artifact, Resource, ResourceType, UploadedFile
from projects_api.entities.upload import Upload
from projects_api.storage.dynamodb import (
    resource_store,
)
from projects_api.storage.dynamodb.idempotency_store import RepeatedRequestError
from projects_api.storage.s3 import artifact_store
from projects_api.storage.s3.signed_urls import URL_LIFETIME


def record(project_id: ProjectId, events: Sequence[Resource]) -> int:
    """Merge events into the project's resources and its counts, in one transaction.

    Args:
        project_id: The project.
        events: At most ``resource_store.RESOURCES_PER_TRANSACTION`` events in any order. Several may describe the same
            resource.

    Returns:
        The number of resources that changed.

    Raises:
        ProjectNotFoundError: The project does not exist, or is deleted.
        ConflictError: The project is full, or the items are too large.
        StorageUnavailableError: DynamoDB is not available, or other writers kept changing the same resources.
    """

    def attempt() -> int:
        project, before, files = resource_store.get_many(
            project_id, {event.key for event in events}, artifact_keys(events)
        )
        after = dict(before)
        for event in events:
            after[event.key] = merge_event(after.get(event.key), event)
        changes = [(before.get(key), merged) for key, merged in after.items() if merged is not before.get(key)]
        if changes:
            if project is None or project.deleted_at:
                raise ProjectNotFoundError
            write_changes(project, ResourceChanges(project_id, changes, files))
        return len(changes)

    return retry_on_conflict(attempt)


@dataclass(frozen=True, slots=True)
class ReadableResource:
    """A resource with a signed URL of its file, if it has a file that exists."""

    resource: Resource
    download_url: str | None
    expires_at: datetime | None


def get(user_id: UserId, project_id: ProjectId, resource_id: ResourceId) -> ReadableResource:
    """Return a resource of the project, with a signed URL of its file.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        ResourceNotFoundError: The project has no such resource.
    """
    resource = _require_resource(user_id, project_id, resource_id, Action.READ)[1]
    artifact = resource.artifact
    if artifact is None:
        return ReadableResource(resource, None, None)
    if artifact.size_bytes is None:
        size = artifact_store.read_size(artifact.key)
        if size is None:
            return ReadableResource(resource, None, None)
        artifact = replace(artifact, size_bytes=size)
    expires_at = now() + URL_LIFETIME
    url = artifact_store.signed_url(artifact, file_name=uploaded_files.download_name(artifact))
    return ReadableResource(replace(resource, artifact=artifact), url, expires_at)


def _require_resource(
    user_id: UserId, project_id: ProjectId, resource_id: ResourceId, action: Action, type_: ResourceType | None = None
) -> tuple[Membership, Resource]:
    """Return the caller's membership and the resource with this id, if the caller may do ``action``.

    Two resources of different types may have the same id, because their services choose the ids. Of several, the first
    in the order of the types is returned.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
        ResourceNotFoundError: The project has no such resource, or it is deleted.
    """
    found, resources = resource_store.get_with_membership(project_id, user_id, resource_id)
    membership = require_membership(found, action)
    existing = [resource for resource in resources if not resource.deleted]
    if not existing:
        raise ResourceNotFoundError
    return membership, next((resource for resource in existing if resource.type is type_), existing[0])


def create(
    user_id: UserId,
    project_id: ProjectId,
    *,
    type_: ResourceType,
    name: str,
    fields: dict[str, Any],
    request: IdempotentRequest | None = None,
) -> Resource:
    """Create a resource without a file.

    Args:
        user_id: The caller.
        project_id: The project.
        type_: The resource's type.
        name: The resource's name.
        fields: The resource's own fields, as ``resource_fields.validate_fields`` returned them.
        request: The request, if it has an Idempotency-Key. A repeat returns the resource as it was created.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
    """

    def attempt() -> tuple[Resource, Announcement]:
        membership = projects.get(user_id, project_id, Action.CHANGE_RESOURCES)
        resource = resource_from_event(
            id=ResourceId(new_id()),
            type=type_,
            change=Change.CREATED,
            name=name,
            occurred_at=now(),
            fields=fields,
            artifact=None,
            changed_by=membership.actor,
        )
        announcement = announce_resource("Created", project_id, resource)
        changes = ResourceChanges(project_id, [(None, resource)], {})
        write_changes(membership.project, changes, announcement, request=request, result=_to_result(resource))
        return resource, announcement

    try:
        resource, announcement = retry_on_conflict(attempt)
    except RepeatedRequestError as repeat:
        return _from_result(repeat.result)
    announcements.send(announcement)
    return resource


def _to_result(resource: Resource) -> dict[str, Any]:
    """Return what a repeated request needs to return the resource again."""
    return {
        "id": resource.id,
        "type": resource.type,
        "name": resource.name,
        "fields": resource.fields,
        "timestamp": sortable(resource.timestamp),
    }


def _from_result(result: dict[str, Any]) -> Resource:
    return Resource(
        id=ResourceId(result["id"]),
        type=ResourceType(result["type"]),
        name=result["name"],
        timestamp=parse(result["timestamp"]),
        version="",
        fields=result["fields"],
    )


def update(
    user_id: UserId,
    project_id: ProjectId,
    resource_id: ResourceId,
    *,
    type_: ResourceType | None,
    name: str,
    fields: dict[str, Any],
    keep_file: bool,
) -> Resource:
    """Replace a resource's name and fields.

    A request that changes nothing writes nothing.

    Args:
        user_id: The caller.
        project_id: The project.
        resource_id: The resource.
        type_: The resource's type, or None.
        name: The new name.
        fields: The new fields. Those that are left out are gone.
        keep_file: Whether the resource keeps its file.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
        ResourceNotFoundError: The project has no such resource.
        InvalidInputError: The resource has another type, or the fields are invalid.
    """

    def attempt() -> tuple[Resource, Announcement | None, list[str]]:
        membership, before = require_replaceable(user_id, project_id, resource_id, type_)
        artifact = before.artifact if keep_file else None
        new_fields = validate_fields(before.type, fields)
        if (name, new_fields, artifact) == (before.name, before.fields, before.artifact):
            return before, None, []
        resource = _replace(before, name, new_fields, artifact, membership.actor)
        announcement = announce_resource("Updated", project_id, resource)
        changes = ResourceChanges(project_id, [(before, resource)], _known_files(project_id, before))
        write_changes(membership.project, changes, announcement)
        return changes.resources[0][1], announcement, changes.unreferenced

    resource, announcement, unreferenced = retry_on_conflict(attempt)
    if announcement:
        announcements.send(announcement)
    uploaded_files.delete_unreferenced(project_id, unreferenced)
    return resource


def _known_files(project_id: ProjectId, resource: Resource) -> dict[str, UploadedFile]:
    """Return the resource's file, if it was uploaded here."""
    if resource.artifact and resource.artifact.uploaded:
        return resource_store.get_files(project_id, {resource.artifact.key})
    return {}


def require_replaceable(
    user_id: UserId, project_id: ProjectId, resource_id: ResourceId, type_: ResourceType | None
) -> tuple[Membership, Resource]:
    """Return the caller's membership and the resource, if the caller may replace it.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
        ResourceNotFoundError: The project has no such resource.
        InvalidInputError: The resource has another type.
    """
    membership, resource = _require_resource(user_id, project_id, resource_id, Action.CHANGE_RESOURCES, type_)
    if type_ and resource.type is not type_:
        raise InvalidInputError(
            f"This resource is a {resource.type}, and its type can't change. Send '{resource.type}', or no type.",
            loc=("body", "type"),
        )
    return membership, resource


def _replace(before: Resource, name: str, fields: dict[str, Any], artifact: Artifact | None, actor: Actor) -> Resource:
    """Return the new state of a resource. It is newer than the stored one, even if that is from the future."""
    changed = resource_from_event(
        id=before.id,
        type=before.type,
        change=Change.UPDATED,
        name=name,
        occurred_at=max(now(), before.timestamp + timedelta(microseconds=1)),
        fields=fields,
        artifact=artifact,
        changed_by=actor,
    )
    return replace(changed, origin=before.origin)


def delete(user_id: UserId, project_id: ProjectId, resource_id: ResourceId) -> None:
    """Delete a resource for good, as a deletion event does.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
        ResourceNotFoundError: The project has no such resource.
    """

    def attempt() -> tuple[Announcement, list[str]]:
        membership, before = _require_resource(user_id, project_id, resource_id, Action.CHANGE_RESOURCES)
        resource = resource_from_event(
            id=before.id,
            type=before.type,
            change=Change.DELETED,
            name="",
            occurred_at=now(),
            fields={},
            artifact=None,
            changed_by=membership.actor,
        )
        announcement = announce_resource("Deleted", project_id, resource)
        changes = ResourceChanges(project_id, [(before, resource)], {})
        write_changes(membership.project, changes, announcement)
        return announcement, changes.unreferenced

    announcement, unreferenced = retry_on_conflict(attempt)
    announcements.send(announcement)
    uploaded_files.delete_unreferenced(project_id, unreferenced)


def record_upload(upload: Upload) -> Resource:
    """Record the resource of an upload whose object exists. The upload is completed in the same transaction.

    Raises:
        ProjectNotFoundError: The user is no longer a member of the project.
        NotAllowedError: The user's role is too low.
        ResourceNotFoundError: The resource to replace is deleted.
        ConditionFailedError: The upload is completed or aborted already.
    """
    draft = upload.draft
    type_ = ResourceType(draft["type"])
    artifact = Artifact(upload.key, upload.content_type)

    def attempt() -> tuple[Resource, Announcement, list[str]]:
        found, resources = resource_store.get_with_membership(upload.project_id, upload.user_id, upload.resource_id)
        membership = require_membership(found, Action.CHANGE_RESOURCES)
        before = next((resource for resource in resources if resource.type is type_), None)
        if (before is None) is draft["replaces"] or (before and before.deleted):
            raise ResourceNotFoundError
        if before:
            change = "Updated"
            resource = _replace(before, draft["name"], draft["fields"], artifact, membership.actor)
        else:
            change = "Created"
            resource = resource_from_event(
                id=upload.resource_id,
                type=type_,
                change=Change.CREATED,
                name=draft["name"],
                occurred_at=now(),
                fields=draft["fields"],
                artifact=artifact,
                changed_by=membership.actor,
            )
        files = resource_store.get_files(upload.project_id, {upload.key})
        announcement = announce_resource(change, upload.project_id, resource)
        changes = ResourceChanges(upload.project_id, [(before, resource)], files, completed=upload)
        write_changes(membership.project, changes, announcement, completed=upload)
        return changes.resources[0][1], announcement, changes.unreferenced

    resource, announcement, unreferenced = retry_on_conflict(attempt)
    announcements.send(announcement)
    uploaded_files.delete_unreferenced(upload.project_id, unreferenced)
    return resource


def read_outcome(upload: Upload) -> Resource:
    """Return the resource that a completed upload has recorded, as it was then."""
    assert upload.completed_at  # noqa: S101 - every completed upload has it
    return Resource(
        id=upload.resource_id,
        type=ResourceType(upload.draft["type"]),
        name=upload.draft["name"],
        timestamp=upload.completed_at,
        version=upload.version or "",
        fields=upload.draft["fields"],
        artifact=Artifact(upload.key, upload.content_type, upload.size_bytes, uploaded=True),
    )
