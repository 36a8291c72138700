"""Resources: merge the events of sibling services into them, change them over HTTP, and list them by time.

Events and requests are recorded by the same code: they have the same versions and limits, and the counts of a project
change in the same transaction.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from projects_api.domain import announcements, projects, uploaded_files
from projects_api.domain.announcements import announce_resource
from projects_api.domain.cursors import decode_cursor, encode_cursor
from projects_api.domain.optimistic_locking import retry_on_conflict
from projects_api.domain.permissions import Action, require_membership
from projects_api.domain.resource_fields import validate_fields
from projects_api.entities.activity import (
    UNKNOWN,
    ActivityAction,
    ActivityEntry,
    ActivityObject,
    Actor,
    Values,
    new_entry,
)
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import now, parse, rfc3339, sortable
from projects_api.entities.errors import InvalidInputError, ProjectNotFoundError, ResourceNotFoundError
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, ResourceId, UserId, new_id
from projects_api.entities.project import Membership, Project
from projects_api.entities.resource import Artifact, Origin, Resource, ResourceType, UploadedFile
from projects_api.entities.upload import Upload
from projects_api.storage.dynamodb import (
    announcement_store,
    file_store,
    resource_store,
    upload_store,
)
from projects_api.storage.dynamodb.idempotency_store import RepeatedRequestError
from projects_api.storage.s3 import artifact_store
from projects_api.storage.s3.signed_urls import URL_LIFETIME


class Change(IntEnum):
    """A kind of event. Of two events at the same instant, the one with the higher value is the newer."""

    CREATED = 1
    UPDATED = 2
    DELETED = 3


def resource_from_event(
    *,
    id: ResourceId,  # noqa: A002 - the field's name
    type: ResourceType,  # noqa: A002 - as above
    change: Change,
    name: str,
    occurred_at: datetime,
    fields: dict[str, Any],
    artifact: Artifact | None,
    extra_digits: str = "",
    changed_by: Actor | None = None,
    origin: Origin | None = None,
) -> Resource:
    """Return the resource as one event describes it.

    The resource's ``version`` orders the events of one resource: by time, then by kind of change, then by a digest of
    the content. All three come from the event itself, so the order does not depend on when an event is delivered.

    Args:
        id: The resource's id.
        type: The resource's type.
        change: The kind of event.
        name: The resource's name.
        occurred_at: The event's time.
        fields: The resource's own fields.
        artifact: The resource's file, if it has one.
        extra_digits: The digits of the event's time after the microseconds, without trailing zeros.
        changed_by: The user or service that announced the change.
        origin: The resource that this one was imported from.
    """
    content = json.dumps([name, fields, artifact and [artifact.key, artifact.content_type]], sort_keys=True)
    digest = sha256(content.encode()).hexdigest()[:16]
    return Resource(
        id=id,
        type=type,
        name=name,
        timestamp=occurred_at,
        version=f"{sortable(occurred_at)}{extra_digits}#{change:d}#{digest}",
        fields=fields,
        artifact=artifact,
        deleted=change is Change.DELETED,
        changed_by=changed_by,
        origin=origin,
    )


def merge_event(before: Resource | None, event: Resource) -> Resource:
    """Return the newer of the stored resource and the event.

    A repeated or older event changes nothing. A deletion is final: it replaces the stored resource even if that is
    newer, and no later event replaces the deletion. The same events therefore give the same result in any order.
    An imported resource keeps its origin, which no event names.
    """
    if before is None:
        return event
    if not before.deleted and (event.deleted or event.version > before.version):
        return replace(event, origin=before.origin)
    return before


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
            project_id, {event.key for event in events}, _artifact_keys(events)
        )
        after = dict(before)
        for event in events:
            after[event.key] = merge_event(after.get(event.key), event)
        changes = [(before.get(key), merged) for key, merged in after.items() if merged is not before.get(key)]
        if changes:
            if project is None or project.deleted_at:
                raise ProjectNotFoundError
            _write(project, _Changes(project_id, changes, files))
        return len(changes)

    return retry_on_conflict(attempt)


def _new_entry(project_id: ProjectId, before: Resource | None, after: Resource) -> ActivityEntry:
    """Return the entry of one change of a resource, whichever number of events it comes from."""
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


def _artifact_keys(resources: Iterable[Resource]) -> set[str]:
    return {resource.artifact.key for resource in resources if resource.artifact and not resource.deleted}


class _Changes:
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


def _write(
    project: Project,
    changes: _Changes,
    *announced: Announcement,
    completed: Upload | None = None,
    request: IdempotentRequest | None = None,
) -> None:
    """Write changes with their entries of the activity and their announcements, in one transaction.

    Raises:
        ConditionFailedError: A resource, a file or the upload has changed since it was read, or the project is deleted.
    """
    writes = [*changes.file_writes, *map(announcement_store.build_put, announced)]
    if completed:
        writes += upload_store.build_completion(completed, changes.resources[0][1], now())
    entries = (_new_entry(project.id, *change) for change in changes.resources)
    result = _to_result(changes.resources[0][1]) if request else {}
    resource_store.record(project, changes.resources, entries, *writes, request=request, result=result)


# ---------------------------------------------------------------------------------------------------- over HTTP


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
        fields: The resource's own fields, as ``resource_events.validate_fields`` returned them.
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
        changes = _Changes(project_id, [(None, resource)], {})
        _write(membership.project, changes, announcement, request=request)
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
        changes = _Changes(project_id, [(before, resource)], _known_files(project_id, before))
        _write(membership.project, changes, announcement)
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
        changes = _Changes(project_id, [(before, resource)], {})
        _write(membership.project, changes, announcement)
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
        changes = _Changes(upload.project_id, [(before, resource)], files, completed=upload)
        _write(membership.project, changes, announcement, completed=upload)
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


# ---------------------------------------------------------------------------------------------------- lists


@dataclass(frozen=True, slots=True)
class TimelinePage:
    """A page of a project's timeline.

    Attributes:
        resources: The resources on the page.
        next_cursor: The cursor of the next page, or None on the last page.
    """

    resources: list[Resource]
    next_cursor: str | None


def list_by_time(
    user_id: UserId,
    project_id: ProjectId,
    *,
    type_: ResourceType | None,
    cursor: str | None,
    limit: int,
    descending: bool,
    list_name: str,
) -> TimelinePage:
    """Return a page of the project's resources, sorted by time.

    Args:
        user_id: The caller.
        project_id: The project.
        type_: Return only resources of this type.
        cursor: The ``next_cursor`` of the page before, or None for the first page.
        limit: Maximum number of resources to return.
        descending: Whether to return the newest first.
        list_name: The name of the list, because a cursor belongs to one list.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        InvalidInputError: The cursor does not belong to this list.
    """
    scope = [list_name, project_id, type_, descending]
    after = decode_cursor(scope, cursor, _parse_position) if cursor else None
    projects.get(user_id, project_id)
    page, has_more = resource_store.list_page(project_id, type_=type_, after=after, limit=limit, descending=descending)
    if not has_more:
        return TimelinePage(page, None)
    last = page[-1]
    return TimelinePage(page, encode_cursor(scope, [sortable(last.timestamp), last.type, last.id]))


def _parse_position(timestamp: str, type_: str, resource_id: str) -> Resource:
    """Return a resource that has only the type, id and timestamp of a cursor."""
    position = Resource(ResourceId(str(UUID(resource_id))), ResourceType(type_), "", parse(timestamp), "", {})
    sortable(position.timestamp)
    return position
