"""The keys of the table. No other module knows how they are composed.

All items of a project are in one partition, so that one query can read them and a purge can empty it. The memberships
of a user are in the user's own partition. Its reads can be strongly consistent, unlike those of a global index, and a
client always finds the project that it has just created.

| item | PK | SK | time_key (index ``by_time``) | type_time_key (index ``by_type_and_time``) |
|---|---|---|---|---|
| user | USER#id | USER | | |
| entry in the list of all users | USERS | USER#id | | |
| claim on an email | EMAIL#address | EMAIL | | |
| API key | APIKEY#id | APIKEY | | |
| entry in the list of a user's API keys | USER#id | APIKEY#id | | |
| project | PROJECT#id | PROJECT | | |
| member | PROJECT#id | MEMBER#user_id | MEMBER#0 or 1#created_at#user_id | |
| membership | USER#id | PROJECT#created_at#project_id | | |
| resource | PROJECT#id | RESOURCE#type#id | RESOURCE#timestamp#type#id | RESOURCE#type#timestamp#id |
| export | PROJECT#id | EXPORT#id | | |
| entry of the activity | ACTIVITY#project_id#month | time#id | | |
| marker of a user's first download | ACTIVITY#project_id#DOWNLOADS | export_id#user_id | | |
| uploaded file | PROJECT#id | FILE#sha256 | | |
| import | IMPORT#id | IMPORT | | |
| first result of an Idempotency-Key | USER#id or PROJECT#id | IDEMPOTENCY#sha256 | | |
| upload | USER#id | UPLOAD#id | | |
| position of the sweep | SWEEP | SWEEP | | |
| announcement | ANNOUNCEMENT#id | ANNOUNCEMENT | | |

The sparse index ``pending_work`` has the items that a job must still process: ``DUE#n`` is a changed project for the
export schedule, ``EXPORT#n`` an unfinished export, ``RETIRED#n`` an archive to remove, ``IMPORT#n`` an unfinished
import, ``PURGE#n`` a deleted project, ``ANNOUNCEMENT#n`` an event that is not on the bus yet, ``UPLOAD#n`` an
unfinished upload, and ``FILE#n`` an uploaded file to delete, where ``n`` is the shard. The index is sorted by
``due_at``, the time from which the job processes the item. There are several shards because one partition key takes at
most 1,000 writes per second
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html).
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, NamedTuple

from projects_api.entities.clock import sortable
from projects_api.entities.ids import AnnouncementId, ExportId, ImportId, ProjectId, ResourceId, UploadId, UserId
from projects_api.entities.project import Role
from projects_api.entities.resource import ResourceType
from projects_api.entities.user import Email

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

type Item = dict[str, AttributeValueTypeDef]
type WorkKind = Literal["DUE", "EXPORT", "RETIRED", "IMPORT", "PURGE", "ANNOUNCEMENT", "UPLOAD", "FILE"]


class Index(NamedTuple):
    """A way to sort a partition.

    Attributes:
        name: The name of the local index, or None for the table itself.
        sort_key: The attribute to sort by.
    """

    name: str | None
    sort_key: str


PRIMARY = Index(None, "SK")
BY_TIME = Index("by_time", "time_key")
BY_TYPE_AND_TIME = Index("by_type_and_time", "type_time_key")

PENDING_WORK = "pending_work"
PENDING_WORK_SHARDS = 8

#: Prefixes of sort keys.
MEMBERS = "MEMBER#"
MEMBERSHIPS = "PROJECT#"
RESOURCES = "RESOURCE#"
EXPORTS = "EXPORT#"
IDEMPOTENCY = "IDEMPOTENCY#"
API_KEYS = "APIKEY#"
USERS = "USER#"
FILES = "FILE#"
UPLOADS = "UPLOAD#"

#: The sort key of a project's own item.
PROJECT = "PROJECT"

#: The partition of the list of all users.
USERS_PARTITION = "USERS"

#: The condition that a user's item exists and the user is not deactivated.
ACTIVE_USER = "attribute_exists(PK) AND attribute_not_exists(deactivated_at)"

#: The condition that a project's item exists, the project is not deleted, and no import is still making it.
ACTIVE = "attribute_exists(PK) AND attribute_not_exists(deleted_at) AND attribute_not_exists(import_id)"


def text(value: str) -> AttributeValueTypeDef:
    """Return an attribute value of type string."""
    return {"S": value}


def number(value: int) -> AttributeValueTypeDef:
    """Return an attribute value of type number."""
    return {"N": str(value)}


def _key(pk: str, sk: str) -> Item:
    return {"PK": text(pk), "SK": text(sk)}


def user_partition(user_id: UserId) -> str:
    """Return the partition key of a user."""
    return f"USER#{user_id}"


def project_partition(project_id: ProjectId) -> str:
    """Return the partition key of a project."""
    return f"PROJECT#{project_id}"


def user(user_id: UserId) -> Item:
    """Return the key of a user."""
    return _key(user_partition(user_id), "USER")


def email(address: Email) -> Item:
    """Return the key of the claim on an email."""
    return _key(f"EMAIL#{address}", "EMAIL")


def api_key(key_id: str) -> Item:
    """Return the key of an API key."""
    return _key(f"APIKEY#{key_id}", "APIKEY")


def listed_api_key(user_id: UserId, key_id: str) -> Item:
    """Return the key of an entry in the list of a user's API keys."""
    return _key(user_partition(user_id), f"{API_KEYS}{key_id}")


def listed_user(user_id: UserId) -> Item:
    """Return the key of an entry in the list of all users. Users are sorted by registration, because their ids are."""
    return _key(USERS_PARTITION, f"{USERS}{user_id}")


def project(project_id: ProjectId) -> Item:
    """Return the key of a project."""
    return _key(project_partition(project_id), PROJECT)


def member(project_id: ProjectId, user_id: UserId) -> Item:
    """Return the key of a project's member."""
    return _key(project_partition(project_id), f"{MEMBERS}{user_id}")


def membership(user_id: UserId, project_created_at: datetime, project_id: ProjectId) -> Item:
    """Return the key of a user's membership. Memberships are sorted by the creation time of their projects."""
    return _key(user_partition(user_id), f"{MEMBERSHIPS}{sortable(project_created_at)}#{project_id}")


def resource(project_id: ProjectId, type_: ResourceType, resource_id: ResourceId) -> Item:
    """Return the key of a resource."""
    return _key(project_partition(project_id), f"{RESOURCES}{type_}#{resource_id}")


def export(project_id: ProjectId, export_id: ExportId) -> Item:
    """Return the key of an export. Exports are sorted by their creation time, because their ids are."""
    return _key(project_partition(project_id), f"{EXPORTS}{export_id}")


def uploaded_file(project_id: ProjectId, object_key: str) -> Item:
    """Return the key of an uploaded file. The key of an object can be longer than a sort key."""
    return uploaded_file_by_digest(project_id, sha256(object_key.encode()).hexdigest())


def uploaded_file_by_digest(project_id: ProjectId, digest: str) -> Item:
    """Return the key of an uploaded file by the digest in its sort key."""
    return _key(project_partition(project_id), f"{FILES}{digest}")


def upload(user_id: UserId, upload_id: UploadId) -> Item:
    """Return the key of an upload. Only the user who started the upload can find it."""
    return _key(user_partition(user_id), f"{UPLOADS}{upload_id}")


def project_import(import_id: ImportId) -> Item:
    """Return the key of an import."""
    return _key(f"IMPORT#{import_id}", "IMPORT")


def idempotency(partition: str, digest: str) -> Item:
    """Return the key of the first result of an Idempotency-Key, in the partition of a user or of a project."""
    return _key(partition, f"{IDEMPOTENCY}{digest}")


def announcement(announcement_id: AnnouncementId) -> Item:
    """Return the key of an announcement. Each has a partition of its own: announcements are never read together."""
    return _key(f"ANNOUNCEMENT#{announcement_id}", "ANNOUNCEMENT")


def activity_partition(project_id: ProjectId, month: datetime) -> str:
    """Return the partition key of a project's activity in the month of a time."""
    return f"ACTIVITY#{project_id}#{month:%Y-%m}"


def activity(project_id: ProjectId, at: datetime, entry_id: str) -> Item:
    """Return the key of an entry of the activity."""
    return _key(activity_partition(project_id, at), f"{sortable(at)}#{entry_id}")


def downloads_partition(project_id: ProjectId) -> str:
    """Return the partition key of the markers of a project's downloads."""
    return f"ACTIVITY#{project_id}#DOWNLOADS"


def download(project_id: ProjectId, export_id: ExportId, user_id: UserId) -> Item:
    """Return the key of the marker of a user's first download of an export."""
    return _key(downloads_partition(project_id), f"{export_id}#{user_id}")


def sweep() -> Item:
    """Return the key of the position of the sweep of artifacts without a project."""
    return _key("SWEEP", "SWEEP")


def member_time_key(role: Role, created_at: datetime, user_id: UserId) -> str:
    """Return a member's key in the index ``by_time``: the owner first, then the others in the order of joining."""
    return f"{MEMBERS}{0 if role is Role.OWNER else 1}#{sortable(created_at)}#{user_id}"


def resource_time_key(timestamp: datetime, type_: ResourceType, resource_id: ResourceId) -> str:
    """Return a resource's key in the index ``by_time``."""
    return f"{RESOURCES}{sortable(timestamp)}#{type_}#{resource_id}"


def resource_type_time_key(timestamp: datetime, type_: ResourceType, resource_id: ResourceId) -> str:
    """Return a resource's key in the index ``by_type_and_time``."""
    return f"{resource_type_prefix(type_)}{sortable(timestamp)}#{resource_id}"


def resource_type_prefix(type_: ResourceType) -> str:
    """Return the prefix of the keys of all resources of one type, in the index ``by_type_and_time``."""
    return f"{RESOURCES}{type_}#"


def pending_work(kind: WorkKind, id_: str) -> str:
    """Return the partition key of an item in the index ``pending_work``. The last digits of a UUID select the shard."""
    return pending_work_shard(kind, int(id_[-4:], 16) % PENDING_WORK_SHARDS)


def pending_work_shard(kind: WorkKind, shard: int) -> str:
    """Return the partition key of one shard of the index ``pending_work``."""
    return f"{kind}#{shard}"


def identity(item: Item) -> tuple[str, str]:
    """Return the partition key and the sort key of an item, or of a key."""
    return item["PK"]["S"], item["SK"]["S"]


def last_key_part(item: Item, name: str) -> str:
    """Return the part of the key attribute ``name`` after its last ``#``."""
    return item[name]["S"].rpartition("#")[2]
