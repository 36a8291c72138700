"""The keys of the table, which only this module knows.

What belongs to a project shares its partition, so that one query reads it and one purge empties it. What a user's
list of projects is made of stands in the user's own partition: unlike a global index, that can be read consistently,
so that what a client has written it reads at once.

| item | PK | SK | time_key (index ``ordered``) | type_time_key (index ``typed``) |
|---|---|---|---|---|
| user | USER#id | USER | | |
| claim on an email | EMAIL#address | EMAIL | | |
| API key | APIKEY#id | APIKEY | | |
| project | PROJECT#id | PROJECT | | |
| member | PROJECT#id | MEMBER#user_id | MEMBER#0 or 1#created_at#user_id | |
| membership | USER#id | PROJECT#created_at#project_id | | |
| resource | PROJECT#id | RESOURCE#type#id | RESOURCE#timestamp#type#id | RESOURCE#type#timestamp#id |
| export | PROJECT#id | EXPORT#id | | |
| first answer to an Idempotency-Key | USER#id | IDEMPOTENCY#sha256 | | |

The sparse index ``work`` holds what a job has yet to do: ``DUE#n`` a changed project for the schedule, ``EXPORT#n`` an
export that is not finished, ``PURGE#n`` a deleted project. It is sorted by ``due_at``: from when on the job is to
look at it. Its keys are spread over shards, since one key takes at most 1,000 writes a second.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, NamedTuple

from projects_api.entities.clock import sortable
from projects_api.entities.ids import ExportId, ProjectId, ResourceId, UserId
from projects_api.entities.project import Role
from projects_api.entities.resource import ResourceType
from projects_api.entities.user import Email

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

type Item = dict[str, AttributeValueTypeDef]
type WorkKind = Literal["DUE", "EXPORT", "PURGE"]


class Index(NamedTuple):
    """What a query of a partition goes by: a local index, or the table itself, and its sort key."""

    name: str | None
    sort_key: str


PRIMARY = Index(None, "SK")
BY_TIME = Index("by_time", "time_key")
BY_TYPE_AND_TIME = Index("by_type_and_time", "type_time_key")

PENDING_WORK = "pending_work"
PENDING_WORK_SHARDS = 8

MEMBERS = "MEMBER#"
MEMBERSHIPS = "PROJECT#"
RESOURCES = "RESOURCE#"
EXPORTS = "EXPORT#"
PROJECT = "PROJECT"


def text(value: str) -> AttributeValueTypeDef:
    return {"S": value}


def number(value: int) -> AttributeValueTypeDef:
    return {"N": str(value)}


def _key(pk: str, sk: str) -> Item:
    return {"PK": text(pk), "SK": text(sk)}


def user_partition(user_id: UserId) -> str:
    """The partition of a user."""
    return f"USER#{user_id}"


def project_partition(project_id: ProjectId) -> str:
    """The partition of a project."""
    return f"PROJECT#{project_id}"


def user(user_id: UserId) -> Item:
    return _key(user_partition(user_id), "USER")


def email(address: Email) -> Item:
    return _key(f"EMAIL#{address}", "EMAIL")


def api_key(key_id: str) -> Item:
    return _key(f"APIKEY#{key_id}", "APIKEY")


def project(project_id: ProjectId) -> Item:
    return _key(project_partition(project_id), PROJECT)


def member(project_id: ProjectId, user_id: UserId) -> Item:
    return _key(project_partition(project_id), f"{MEMBERS}{user_id}")


def membership(user_id: UserId, project_created_at: datetime, project_id: ProjectId) -> Item:
    return _key(user_partition(user_id), f"{MEMBERSHIPS}{sortable(project_created_at)}#{project_id}")


def resource(project_id: ProjectId, type_: ResourceType, resource_id: ResourceId) -> Item:
    return _key(project_partition(project_id), f"{RESOURCES}{type_}#{resource_id}")


def export(project_id: ProjectId, export_id: ExportId) -> Item:
    return _key(project_partition(project_id), f"{EXPORTS}{export_id}")


def idempotency(user_id: UserId, key: str) -> Item:
    return _key(user_partition(user_id), f"IDEMPOTENCY#{sha256(key.encode()).hexdigest()}")


def member_time_key(role: Role, created_at: datetime, user_id: UserId) -> str:
    """The owner first, then as they joined."""
    return f"{MEMBERS}{0 if role is Role.OWNER else 1}#{sortable(created_at)}#{user_id}"


def resource_time_key(timestamp: datetime, type_: ResourceType, resource_id: ResourceId) -> str:
    return f"{RESOURCES}{sortable(timestamp)}#{type_}#{resource_id}"


def resource_type_time_key(timestamp: datetime, type_: ResourceType, resource_id: ResourceId) -> str:
    return f"{typed_resources(type_)}{sortable(timestamp)}#{resource_id}"


def typed_resources(type_: ResourceType) -> str:
    return f"{RESOURCES}{type_}#"


def pending_work(kind: WorkKind, project_id: ProjectId) -> str:
    return pending_work_shard(kind, int(project_id[-4:], 16) % PENDING_WORK_SHARDS)


def pending_work_shard(kind: WorkKind, shard: int) -> str:
    return f"{kind}#{shard}"


def last_key_part(item: Item, name: str) -> str:
    """What stands behind the last ``#`` of a key."""
    return item[name]["S"].rpartition("#")[2]
