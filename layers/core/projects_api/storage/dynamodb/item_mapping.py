"""Mapping between entities and items of the table. ``import_store`` maps imports."""

import json
import math
from datetime import UTC, date, datetime
from typing import Any

from projects_api.entities.activity_entry import ActivityAction, ActivityEntry, ActivityObject, Actor
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import parse, sortable
from projects_api.entities.export import Export, ExportStatus, Progress, Trigger
from projects_api.entities.ids import AnnouncementId, ExportId, ImportId, ProjectId, ResourceId, UploadId, UserId
from projects_api.entities.project import Member, Project, Role
from projects_api.entities.resource import Artifact, Origin, Resource, ResourceType, UploadedFile
from projects_api.entities.upload import Purpose, Upload, UploadStatus
from projects_api.entities.user import ApiKey, Email, Scope, User
from projects_api.storage.dynamodb import keys
from projects_api.storage.dynamodb.keys import Item, number, text

#: Size of a project item's padding, in bytes. Marking the project as deleted removes the padding, so the item does not
#: grow. In a partition that has reached its limit of 10 GB no item may grow
#: (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/LSI.html#LSI.ItemCollections.SizeLimit).
PADDING = 128

#: The attributes of an export's progress, in the order of the fields of ``Progress``.
PROGRESS = ("bytes_done", "bytes_total", "files_done", "files_total")


def project_to_item(project: Project) -> Item:
    """Return the item of a new project, which is due for the export schedule unless an import is making it."""
    item = keys.project(project.id) | {
        "id": text(project.id),
        "name": text(project.name),
        "description": text(project.description),
        "owner_id": text(project.owner_id),
        "created_at": text(sortable(project.created_at)),
        "updated_at": text(sortable(project.updated_at)),
        "member_count": number(project.member_count),
        "revision": number(project.revision),
        "padding": text("." * PADDING),
    }
    if project.import_id:
        item["import_id"] = text(project.import_id)
    else:
        item["pending_work"] = text(keys.pending_work("DUE", project.id))
        item["due_at"] = text(sortable(project.created_at))
    item |= {count_attribute(type_): number(project.counts.get(type_, 0)) for type_ in ResourceType}
    if project.idempotency_claim:
        item["idempotency_claim"] = text(project.idempotency_claim)
    return item


def project_from_item(item: Item) -> Project:
    """Return the project of an item."""
    return Project(
        id=ProjectId(item["id"]["S"]),
        name=item["name"]["S"],
        description=item["description"]["S"],
        owner_id=UserId(item["owner_id"]["S"]),
        created_at=parse(item["created_at"]["S"]),
        updated_at=parse(item["updated_at"]["S"]),
        counts={type_: int(item[count_attribute(type_)]["N"]) for type_ in ResourceType},
        member_count=int(item["member_count"]["N"]),
        revision=int(item["revision"]["N"]),
        latest_export_id=ExportId(item["latest_export_id"]["S"]) if "latest_export_id" in item else None,
        archive_export_id=ExportId(item["archive_export_id"]["S"]) if "archive_export_id" in item else None,
        deleted_at=parse(item["deleted_at"]["S"]) if "deleted_at" in item else None,
        idempotency_claim=item["idempotency_claim"]["S"] if "idempotency_claim" in item else None,
        previous_owner_id=UserId(item["previous_owner_id"]["S"]) if "previous_owner_id" in item else None,
        import_id=ImportId(item["import_id"]["S"]) if "import_id" in item else None,
    )


def is_visible(item: Item) -> bool:
    """Return whether the project of an item is neither deleted nor still being imported."""
    return "deleted_at" not in item and "import_id" not in item


def count_attribute(type_: ResourceType) -> str:
    """Return the attribute of a project that counts its resources of one type."""
    return f"{type_}_count"


def member_to_item(project_id: ProjectId, member: Member) -> Item:
    """Return the item of a member, in the project's partition."""
    return keys.member(project_id, member.user_id) | {
        "user_id": text(member.user_id),
        "email": text(member.email),
        "name": text(member.name),
        "role": text(member.role),
        "created_at": text(sortable(member.created_at)),
        "time_key": text(keys.member_time_key(member.role, member.created_at, member.user_id)),
    }


def member_from_item(item: Item) -> Member:
    """Return the member of an item."""
    return Member(
        user_id=UserId(item["user_id"]["S"]),
        email=Email(item["email"]["S"]),
        name=item["name"]["S"],
        role=Role(item["role"]["S"]),
        created_at=parse(item["created_at"]["S"]),
    )


def member_to_result(member: Member, *, added: bool) -> dict[str, Any]:
    """Return the result of adding a member or changing a role, as a repeated request gives it again."""
    return {
        "user_id": member.user_id,
        "email": member.email,
        "name": member.name,
        "role": member.role,
        "created_at": sortable(member.created_at),
        "added": added,
    }


def member_from_result(result: dict[str, Any]) -> tuple[Member, bool]:
    """Return the member of such a result, and whether the first request added them."""
    member = Member(
        user_id=UserId(result["user_id"]),
        email=Email(result["email"]),
        name=result["name"],
        role=Role(result["role"]),
        created_at=parse(result["created_at"]),
    )
    return member, result["added"]


def membership_to_item(project: Project, member: Member) -> Item:
    """Return the item of a membership, in the user's partition."""
    return keys.membership(member.user_id, project.created_at, project.id) | {"role": text(member.role)}


def resource_to_item(project_id: ProjectId, resource: Resource) -> Item:
    """Return the item of a resource.

    A deleted resource keeps only its id, type, time and version, so that older events cannot restore it. It has no
    index keys, so lists do not contain it.
    """
    item = keys.resource(project_id, resource.type, resource.id) | {
        "id": text(resource.id),
        "type": text(resource.type),
        "timestamp": text(sortable(resource.timestamp)),
        "version": text(resource.version),
    }
    if resource.deleted:
        return item | {"deleted": {"BOOL": True}}
    item |= {
        "name": text(resource.name),
        "fields": text(json.dumps(resource.fields, ensure_ascii=False, separators=(",", ":"))),
        "time_key": text(keys.resource_time_key(resource.timestamp, resource.type, resource.id)),
        "type_time_key": text(keys.resource_type_time_key(resource.timestamp, resource.type, resource.id)),
    }
    if resource.artifact:
        item |= {
            "artifact_key": text(resource.artifact.key),
            "artifact_content_type": text(resource.artifact.content_type),
        }
        if resource.artifact.size_bytes is not None:
            item["artifact_size"] = number(resource.artifact.size_bytes)
        if resource.artifact.uploaded:
            item["artifact_uploaded"] = {"BOOL": True}
    if resource.origin:
        item |= {
            "origin_project_id": text(resource.origin.project_id),
            "origin_resource_id": text(resource.origin.resource_id),
        }
    return item


def resource_from_item(item: Item) -> Resource:
    """Return the resource of an item."""
    deleted, artifact, origin = "deleted" in item, None, None
    if "artifact_key" in item:
        artifact = Artifact(
            item["artifact_key"]["S"],
            item["artifact_content_type"]["S"],
            size_bytes=int(item["artifact_size"]["N"]) if "artifact_size" in item else None,
            uploaded="artifact_uploaded" in item,
        )
    if "origin_project_id" in item:
        origin = Origin(ProjectId(item["origin_project_id"]["S"]), ResourceId(item["origin_resource_id"]["S"]))
    return Resource(
        id=ResourceId(item["id"]["S"]),
        type=ResourceType(item["type"]["S"]),
        name="" if deleted else item["name"]["S"],
        timestamp=parse(item["timestamp"]["S"]),
        version=item["version"]["S"],
        fields={} if deleted else json.loads(item["fields"]["S"]),
        artifact=artifact,
        deleted=deleted,
        origin=origin,
    )


def uploaded_file_from_item(item: Item) -> UploadedFile:
    """Return the uploaded file of an item."""
    return UploadedFile(
        key=item["key"]["S"],
        resource_count=int(item["resource_count"]["N"]),
        size_bytes=int(item["size_bytes"]["N"]) if "size_bytes" in item else None,
        upload_id=UploadId(item["upload_id"]["S"]) if "upload_id" in item else None,
        deleting="deleting" in item,
    )


def upload_to_item(upload: Upload) -> Item:
    """Return the item of a new upload, which is due when it expires."""
    return keys.upload(upload.user_id, upload.id) | {
        "id": text(upload.id),
        "user_id": text(upload.user_id),
        "purpose": text(upload.purpose),
        "project_id": text(upload.project_id),
        "resource_id": text(upload.resource_id),
        "key": text(upload.key),
        "s3_upload_id": text(upload.s3_upload_id),
        "content_type": text(upload.content_type),
        "size_bytes": number(upload.size_bytes),
        "part_size_bytes": number(upload.part_size_bytes),
        "created_at": text(sortable(upload.created_at)),
        "open_until": text(sortable(upload.expires_at)),
        "status": text(upload.status),
        "draft": text(json.dumps(upload.draft, ensure_ascii=False, separators=(",", ":"))),
        "pending_work": text(keys.pending_work("UPLOAD", upload.id)),
        "due_at": text(sortable(upload.expires_at)),
    }


def upload_from_item(item: Item) -> Upload:
    """Return the upload of an item."""
    return Upload(
        id=UploadId(item["id"]["S"]),
        user_id=UserId(item["user_id"]["S"]),
        purpose=Purpose(item["purpose"]["S"]),
        project_id=ProjectId(item["project_id"]["S"]),
        resource_id=ResourceId(item["resource_id"]["S"]),
        key=item["key"]["S"],
        s3_upload_id=item["s3_upload_id"]["S"],
        content_type=item["content_type"]["S"],
        size_bytes=int(item["size_bytes"]["N"]),
        part_size_bytes=int(item["part_size_bytes"]["N"]),
        created_at=parse(item["created_at"]["S"]),
        expires_at=parse(item["open_until"]["S"]),
        status=UploadStatus(item["status"]["S"]),
        draft=json.loads(item["draft"]["S"]),
        completed_at=parse(item["completed_at"]["S"]) if "completed_at" in item else None,
        version=item["version"]["S"] if "version" in item else None,
    )


def export_to_item(export: Export) -> Item:
    """Return the item of a new export, with pending work unless ``stalled_at`` is None."""
    item = keys.export(export.project_id, export.id) | {
        "id": text(export.id),
        "project_id": text(export.project_id),
        "status": text(export.status),
        "trigger": text(export.trigger),
        "created_at": text(sortable(export.created_at)),
        "expires_at": number(int(export.expires_at.timestamp())),
    }
    if export.fresh:
        item["fresh"] = {"BOOL": True}
    if export.stalled_at:
        item["pending_work"] = text(keys.pending_work("EXPORT", export.project_id))
        item["due_at"] = text(sortable(export.stalled_at))
    return item


def export_from_item(item: Item) -> Export:
    """Return the export of an item."""

    def count(name: str) -> int:
        return int(item[name]["N"]) if name in item else 0

    return Export(
        id=ExportId(item["id"]["S"]),
        project_id=ProjectId(item["project_id"]["S"]),
        status=ExportStatus(item["status"]["S"]),
        trigger=Trigger(item["trigger"]["S"]),
        created_at=parse(item["created_at"]["S"]),
        expires_at=datetime.fromtimestamp(min(count("expires_at"), count("retired_until") or math.inf), UTC),
        revision=count("revision"),
        finished_at=parse(item["finished_at"]["S"]) if "finished_at" in item else None,
        size_bytes=count("size_bytes") if "size_bytes" in item else None,
        crc32=count("crc32") if "crc32" in item else None,
        progress=Progress(*(count(name) for name in PROGRESS)),
        error=item["error"]["S"] if "error" in item else None,
        lease_until=parse(item["lease_until"]["S"]) if "lease_until" in item else None,
        stalled_at=parse(item["due_at"]["S"]) if "pending_work" in item and "retired_until" not in item else None,
        fresh="fresh" in item,
        retired="retired_until" in item,
    )


def announcement_to_item(announcement: Announcement, due_at: datetime) -> Item:
    """Return the item of an announcement that the recovery job sends from ``due_at`` on."""
    return keys.announcement(announcement.id) | {
        "id": text(announcement.id),
        "detail_type": text(announcement.detail_type),
        "detail": text(json.dumps(announcement.detail, ensure_ascii=False, separators=(",", ":"))),
        "created_at": text(sortable(announcement.created_at)),
        "pending_work": text(keys.pending_work("ANNOUNCEMENT", announcement.id)),
        "due_at": text(sortable(due_at)),
    }


def announcement_from_item(item: Item) -> Announcement:
    """Return the announcement of an item."""
    return Announcement(
        id=AnnouncementId(item["id"]["S"]),
        detail_type=item["detail_type"]["S"],
        detail=json.loads(item["detail"]["S"]),
        created_at=parse(item["created_at"]["S"]),
    )


def activity_to_item(entry: ActivityEntry) -> Item:
    """Return the item of an entry of the activity."""
    item = keys.activity(entry.project_id, entry.at, entry.id) | {
        "id": text(entry.id),
        "at": text(sortable(entry.at)),
        "actor": text(actor_to_json(entry.actor)),
        "action": text(entry.action),
        "object": text(json.dumps([entry.object.type, entry.object.id, entry.object.name], ensure_ascii=False)),
    }
    for name, values in (("before", entry.before), ("after", entry.after)):
        if values is not None:
            item[name] = text(json.dumps(values, ensure_ascii=False))
    return item


def activity_from_item(project_id: ProjectId, item: Item) -> ActivityEntry:
    """Return the entry of an item."""
    return ActivityEntry(
        id=item["id"]["S"],
        at=parse(item["at"]["S"]),
        project_id=project_id,
        actor=actor_from_json(item["actor"]["S"]),
        action=ActivityAction(item["action"]["S"]),
        object=ActivityObject(*json.loads(item["object"]["S"])),
        before=json.loads(item["before"]["S"]) if "before" in item else None,
        after=json.loads(item["after"]["S"]) if "after" in item else None,
    )


def actor_to_json(actor: Actor) -> str:
    """Return an actor as JSON."""
    return json.dumps([actor.user_id, actor.name, actor.service], ensure_ascii=False)


def actor_from_json(content: str) -> Actor:
    """Return the actor of a JSON text."""
    return Actor(*json.loads(content))


def user_to_item(user: User) -> Item:
    """Return the item of a user."""
    return keys.user(user.id) | {
        "id": text(user.id),
        "email": text(user.email),
        "name": text(user.name),
        "created_at": text(sortable(user.created_at)),
    }


def email_claim_to_item(user: User) -> Item:
    """Return the item that claims the user's email. It keeps emails unique, and finds the user in one read."""
    return user_to_item(user) | keys.email(user.email)


def user_from_item(item: Item) -> User:
    """Return the user of an item."""
    return User(
        id=UserId(item["id"]["S"]),
        email=Email(item["email"]["S"]),
        name=item["name"]["S"],
        created_at=parse(item["created_at"]["S"]),
        deactivated_at=parse(item["deactivated_at"]["S"]) if "deactivated_at" in item else None,
        project_count=int(item["project_count"]["N"]) if "project_count" in item else 0,
    )


def api_key_to_item(key: ApiKey) -> Item:
    """Return the item of an API key."""
    item = keys.api_key(key.id) | {
        "id": text(key.id),
        "user_id": text(key.user_id),
        "email": text(key.email),
        "name": text(key.name),
        "secret_sha256": text(key.secret_sha256),
        "scopes": text(" ".join(sorted(key.scopes))),
        "created_at": text(sortable(key.created_at)),
    }
    if key.expires_at:
        item["valid_until"] = text(sortable(key.expires_at))
    return item


def api_key_from_item(item: Item) -> ApiKey:
    """Return the API key of an item."""
    return ApiKey(
        id=item["id"]["S"],
        user_id=UserId(item["user_id"]["S"]),
        email=Email(item["email"]["S"]),
        name=item["name"]["S"],
        secret_sha256=item["secret_sha256"]["S"],
        scopes=frozenset(Scope(scope) for scope in item["scopes"]["S"].split()),
        created_at=parse(item["created_at"]["S"]),
        expires_at=parse(item["valid_until"]["S"]) if "valid_until" in item else None,
        revoked_at=parse(item["revoked_at"]["S"]) if "revoked_at" in item else None,
        last_used_on=date.fromisoformat(item["last_used_on"]["S"]) if "last_used_on" in item else None,
    )
