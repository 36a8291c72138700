"""Imports in the table. ``import_lease`` has the writes that need a lease."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from projects_api.entities.clock import now, parse, sortable
from projects_api.entities.export import Progress
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ExportId, ImportId, ProjectId, UserId
from projects_api.entities.project import Caller, Member, Project
from projects_api.entities.project_import import CopiedExport, Import, ImportStatus, MembersMode
from projects_api.entities.resource import Resource
from projects_api.entities.user import Email
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import idempotency_store, keys, table
from projects_api.storage.dynamodb.item_mapping import (
    PROGRESS,
    member_to_item,
    membership_to_item,
    project_to_item,
    resource_to_item,
)
from projects_api.storage.dynamodb.keys import Item, number, text
from projects_api.storage.dynamodb.project_store import build_project_count_update

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: Condition: the project is being made by the import ``:import``, which has not failed.
IMPORTING = "import_id = :import AND attribute_not_exists(deleted_at)"

#: Maximum number of resources in one transaction, with one condition check. See ``resource_store``.
RESOURCES_PER_TRANSACTION = 35

#: Number of members that the last transaction can add, the owner included: three writes each, besides up to ten others.
MEMBERS_PER_TRANSACTION = (table.TRANSACTION_LIMIT - 10) // 3


def import_to_item(import_: Import) -> Item:
    """Return the item of a new import."""
    item = keys.project_import(import_.id) | {
        "id": text(import_.id),
        "user_id": text(import_.importer.user_id),
        "email": text(import_.importer.email),
        "user_name": text(import_.importer.name),
        "project_id": text(import_.project_id),
        "status": text(import_.status),
        "members": text(import_.members),
        "created_at": text(sortable(import_.created_at)),
        "expires_at": number(int(import_.expires_at.timestamp())),
    }
    if import_.copied_export:
        item["copied_project_id"] = text(import_.copied_export.project_id)
        item["copied_export_id"] = text(import_.copied_export.export_id)
    if import_.name is not None:
        item["name"] = text(import_.name)
    if import_.size_bytes is not None:
        item["size_bytes"] = number(import_.size_bytes)
    if import_.stalled_at:
        item["pending_work"] = text(keys.pending_work("IMPORT", import_.id))
        item["due_at"] = text(sortable(import_.stalled_at))
    return item


def import_from_item(item: Item) -> Import:
    """Return the import of an item."""

    def count(name: str) -> int:
        return int(item[name]["N"]) if name in item else 0

    copied_export = None
    if "copied_export_id" in item:
        copied_export = CopiedExport(ProjectId(item["copied_project_id"]["S"]), ExportId(item["copied_export_id"]["S"]))
    return Import(
        id=ImportId(item["id"]["S"]),
        importer=Caller(UserId(item["user_id"]["S"]), Email(item["email"]["S"]), item["user_name"]["S"]),
        project_id=ProjectId(item["project_id"]["S"]),
        status=ImportStatus(item["status"]["S"]),
        members=MembersMode(item["members"]["S"]),
        created_at=parse(item["created_at"]["S"]),
        expires_at=datetime.fromtimestamp(count("expires_at"), UTC),
        copied_export=copied_export,
        name=item["name"]["S"] if "name" in item else None,
        size_bytes=count("size_bytes") if "size_bytes" in item else None,
        finished_at=parse(item["finished_at"]["S"]) if "finished_at" in item else None,
        progress=Progress(*(count(name) for name in PROGRESS)),
        errors=json.loads(item["errors"]["S"]) if "errors" in item else [],
        error_count=count("error_count"),
        warnings=json.loads(item["warnings"]["S"]) if "warnings" in item else [],
        lease_until=parse(item["lease_until"]["S"]) if "lease_until" in item else None,
        stalled_at=parse(item["due_at"]["S"]) if "pending_work" in item else None,
    )


def get(import_id: ImportId) -> Import | None:
    """Return the import, or None if it does not exist or has expired. DynamoDB deletes expired items with a delay."""
    item = table.get_item(keys.project_import(import_id))
    import_ = import_from_item(item) if item else None
    return import_ if import_ and import_.expires_at > now() else None


def start_copy(
    import_: Import, project: Project, hold: TransactWriteItemTypeDef, *, request: IdempotentRequest | None
) -> None:
    """Store a new import that copies an export, and its project.

    Args:
        import_: The import.
        project: The project that the import makes.
        hold: The write that keeps the export's archive.
        request: The request, or None if it has no Idempotency-Key.

    Raises:
        RepeatedRequestError: An earlier request with the same Idempotency-Key created an import.
        ConditionFailedError: The export does not exist any more.
    """
    writes = (hold, build_put(import_), _build_project_put(project))
    idempotency_store.transact(request, {"import_id": import_.id}, *writes)


def _build_project_put(project: Project) -> TransactWriteItemTypeDef:
    return table.build_put(project_to_item(project), condition="attribute_not_exists(PK)")


def build_put(import_: Import) -> TransactWriteItemTypeDef:
    """Return the write that stores a new import."""
    return table.build_put(import_to_item(import_), condition="attribute_not_exists(PK)")


def start_uploaded(
    import_: Import,
    project: Project,
    *completion: TransactWriteItemTypeDef,
    stalled_at: datetime,
    expires_at: datetime,
) -> None:
    """Start an import whose archive has been uploaded, in one transaction with the completion of the upload.

    Raises:
        ConditionFailedError: The upload or the import is not in the right state any more.
    """
    update = table.build_update(
        keys.project_import(import_.id),
        "SET #status = :pending, pending_work = :work, due_at = :due, expires_at = :expires",
        condition="#status = :uploading",
        names={"#status": "status"},
        values={
            ":pending": text(ImportStatus.PENDING),
            ":uploading": text(ImportStatus.UPLOADING),
            ":work": text(keys.pending_work("IMPORT", import_.id)),
            ":due": text(sortable(stalled_at)),
            ":expires": number(int(expires_at.timestamp())),
        },
    )
    table.transact(*completion, update, _build_project_put(project))


def postpone_recovery(import_id: ImportId, *, until: datetime) -> None:
    """Set the time at which the message of an import without a worker counts as lost.

    Raises:
        ConditionFailedError: A worker holds the lease, or the import is finalized or deleted.
    """
    table.update_item(
        keys.project_import(import_id),
        "SET due_at = :until",
        condition="attribute_exists(pending_work) AND (attribute_not_exists(lease_until) OR lease_until < :now)",
        values={":until": text(sortable(until)), ":now": text(sortable(now()))},
    )


def mark_finalized(import_id: ImportId) -> None:
    """Remove a finished import from the pending work."""
    with suppress(ConditionFailedError):  # the record has expired
        table.update_item(
            keys.project_import(import_id), "REMOVE pending_work, due_at", condition="attribute_exists(PK)"
        )


def insert_resources(import_: Import, resources: Sequence[Resource]) -> None:
    """Store resources of a project that is being imported, at most ``RESOURCES_PER_TRANSACTION``. Safe to repeat.

    Raises:
        ConditionFailedError: The import has failed.
        ProjectFullError: The project's partition has reached its size limit.
        TooLargeError: A resource is too large.
    """
    table.transact(
        _build_importing_check(import_),
        *(table.build_put(resource_to_item(import_.project_id, resource)) for resource in resources),
    )


def insert_member(import_: Import, project: Project, member: Member) -> None:
    """Add a member to a project that is being imported. Safe to repeat.

    Raises:
        ConditionFailedError: The import has failed, the user is a member already, or does not exist.
    """
    table.transact(_build_importing_check(import_), *build_member(project, member))


def _build_importing_check(import_: Import) -> TransactWriteItemTypeDef:
    return table.build_condition_check(
        keys.project(import_.project_id), condition=IMPORTING, values={":import": text(import_.id)}
    )


def build_member(project: Project, member: Member) -> list[TransactWriteItemTypeDef]:
    """Return the writes that add a member to a project that is being imported."""
    return [
        table.build_put(member_to_item(project.id, member), condition="attribute_not_exists(PK)"),
        table.build_put(membership_to_item(project, member)),
        build_project_count_update(member.user_id, 1),
    ]
