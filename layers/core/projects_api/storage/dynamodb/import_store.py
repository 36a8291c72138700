"""Imports in the table: their items, leases and progress, and the last transaction, which makes the project visible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from projects_api.entities.activity import ActivityEntry
from projects_api.entities.clock import now, parse, sortable
from projects_api.entities.export import Progress
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ExportId, ImportId, ProjectId, UserId
from projects_api.entities.project import Caller, Member, Project
from projects_api.entities.project_import import CopiedExport, Import, ImportStatus, MembersMode
from projects_api.entities.resource import Resource
from projects_api.entities.user import Email
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import activity_store, idempotency_store, keys, table
from projects_api.storage.dynamodb.item_mapping import (
    PROGRESS,
    count_attribute,
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

#: Index of the write of ``ImportLease.mark_ready`` that fails if the owner, its first member, is deactivated.
OWNER_WRITE = 5


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


def insert(import_: Import, project: Project | None, *, request: IdempotentRequest | None) -> None:
    """Store a new import and, if it starts immediately, its project.

    Args:
        import_: The import.
        project: The project that the import makes, or None while the archive is not uploaded yet.
        request: The request, or None if it has no Idempotency-Key.

    Raises:
        RepeatedRequestError: An earlier request with the same Idempotency-Key created an import.
    """
    new = "attribute_not_exists(PK)"
    writes = [table.build_put(import_to_item(import_), condition=new)]
    if project:
        writes.append(table.build_put(project_to_item(project), condition=new))
    idempotency_store.transact(request, {"import_id": import_.id}, *writes)


def build_start(import_: Import, project: Project, *, stalled_at: datetime) -> list[TransactWriteItemTypeDef]:
    """Return the writes that start an import whose archive has been uploaded."""
    update = table.build_update(
        keys.project_import(import_.id),
        "SET #status = :pending, pending_work = :work, due_at = :due",
        condition="#status = :uploading",
        names={"#status": "status"},
        values={
            ":pending": text(ImportStatus.PENDING),
            ":uploading": text(ImportStatus.UPLOADING),
            ":work": text(keys.pending_work("IMPORT", import_.id)),
            ":due": text(sortable(stalled_at)),
        },
    )
    return [update, table.build_put(project_to_item(project), condition="attribute_not_exists(PK)")]


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
    table.transact(_build_importing_check(import_), *_build_member(project, member))


def _build_importing_check(import_: Import) -> TransactWriteItemTypeDef:
    return table.build_condition_check(
        keys.project(import_.project_id), condition=IMPORTING, values={":import": text(import_.id)}
    )


def _build_member(project: Project, member: Member) -> list[TransactWriteItemTypeDef]:
    return [
        table.build_put(member_to_item(project.id, member), condition="attribute_not_exists(PK)"),
        table.build_put(membership_to_item(project, member)),
        build_project_count_update(member.user_id, 1),
    ]


@dataclass(frozen=True, slots=True)
class AcquiredImport:
    """An import whose lease was acquired.

    Attributes:
        import_: The import.
        attempts: The number of attempts without progress, including this one.
    """

    import_: Import
    attempts: int


@dataclass(frozen=True, slots=True)
class ImportLease:
    """The exclusive right to work on an import for a limited time. Only the holder can change the import.

    Attributes:
        import_id: The import.
        holder: The id of the worker's invocation.
    """

    import_id: ImportId
    holder: str

    def acquire(self, until: datetime) -> AcquiredImport:
        """Acquire the lease until a time, and set the import's status to running.

        Raises:
            ConditionFailedError: Another worker holds the lease, or the import is not started, finished or deleted.
        """
        item = table.update_item(
            keys.project_import(self.import_id),
            "SET #status = :running, lease_holder = :me, lease_until = :until, due_at = :until ADD attempts :one",
            condition="(#status = :pending OR #status = :running)"
            " AND (attribute_not_exists(lease_until) OR lease_until < :now OR lease_holder = :me)",
            names={"#status": "status"},
            values={
                ":running": text(ImportStatus.RUNNING),
                ":pending": text(ImportStatus.PENDING),
                ":me": text(self.holder),
                ":until": text(sortable(until)),
                ":now": text(sortable(now())),
                ":one": number(1),
            },
        )
        return AcquiredImport(import_from_item(item), int(item["attempts"]["N"]))

    def renew(self, *, progress: Progress, until: datetime, made_progress: bool) -> None:
        """Extend the lease and store the progress.

        Args:
            progress: The progress of the import.
            until: When the lease expires.
            made_progress: Whether this attempt has made progress. If so, the count of attempts starts again at zero.

        Raises:
            ConditionFailedError: The lease was lost.
        """
        values: Item = {":until": text(sortable(until)), ":me": text(self.holder)}
        expression = "SET lease_until = :until, due_at = :until, " + _set_progress(progress, values)
        if made_progress:
            values[":none"] = number(0)
            expression += ", attempts = :none"
        table.update_item(
            keys.project_import(self.import_id), expression, condition="lease_holder = :me", values=values
        )

    def release(self, *, made_progress: bool) -> None:
        """Release the lease, so that another worker can continue immediately.

        Args:
            made_progress: Whether this attempt has made progress. If so, the count of attempts starts again at zero.

        Raises:
            ConditionFailedError: The lease was lost.
        """
        table.update_item(
            keys.project_import(self.import_id),
            "REMOVE lease_holder, lease_until" + (", attempts" if made_progress else ""),
            condition="lease_holder = :me",
            values={":me": text(self.holder)},
        )

    def mark_ready(
        self,
        import_: Import,
        project: Project,
        members: Sequence[Member],
        *,
        entry: ActivityEntry,
        progress: Progress,
        warnings: Sequence[str],
        finished_at: datetime,
    ) -> None:
        """Make the project visible, add its owner and members, and set the import to ready, all in one transaction.

        Args:
            import_: The import.
            project: The project with its name, description, counts, number of members and times.
            members: The owner and other members, at most ``MEMBERS_PER_TRANSACTION``.
            entry: The entry of the activity.
            progress: The final progress.
            warnings: Remarks on the archive.
            finished_at: The time.

        Raises:
            ConditionFailedError: The lease was lost, the import has failed, or a user does not exist.
        """
        values: Item = {":warnings": text(json.dumps(list(warnings), ensure_ascii=False))}
        sets = "warnings = :warnings, " + _set_progress(progress, values)
        project_values: Item = {
            ":name": text(project.name),
            ":description": text(project.description),
            ":updated_at": text(sortable(project.updated_at)),
            ":member_count": number(project.member_count),
            ":due": text(keys.pending_work("DUE", project.id)),
            ":import": text(import_.id),
            **{f":{count_attribute(type_)}": number(count) for type_, count in project.counts.items()},
        }
        counts = "".join(f", {count_attribute(type_)} = :{count_attribute(type_)}" for type_ in project.counts)
        table.transact(
            table.build_update(
                keys.project(project.id),
                "SET #name = :name, description = :description, updated_at = :updated_at, member_count = :member_count,"
                f" pending_work = :due, due_at = :updated_at{counts} REMOVE import_id",
                condition=IMPORTING,
                names={"#name": "name"},
                values=project_values,
            ),
            self._build_finish(ImportStatus.READY, sets, finished_at, values),
            activity_store.build_entry(entry),
            *(write for member in members for write in _build_member(project, member)),
        )

    def mark_failed(
        self,
        import_: Import,
        *,
        errors: Sequence[str],
        error_count: int,
        warnings: Sequence[str],
        finished_at: datetime,
        purge_due_at: datetime,
    ) -> None:
        """Set the status to failed and delete the project, whose purge removes what the import has created.

        Args:
            import_: The import.
            errors: The first errors, for the user.
            error_count: The number of all errors.
            warnings: Remarks on the archive.
            finished_at: The time.
            purge_due_at: When the recovery job queues the purge if its message is lost.

        Raises:
            ConditionFailedError: The lease was lost.
        """
        values: Item = {
            ":errors": text(json.dumps(list(errors), ensure_ascii=False)),
            ":error_count": number(error_count),
            ":warnings": text(json.dumps(list(warnings), ensure_ascii=False)),
        }
        sets = "errors = :errors, error_count = :error_count, warnings = :warnings"
        table.transact(
            table.build_update(
                keys.project(import_.project_id),
                "SET deleted_at = :now, due_at = :due, pending_work = :purge REMOVE padding",
                condition=IMPORTING,
                values={
                    ":now": text(sortable(finished_at)),
                    ":due": text(sortable(purge_due_at)),
                    ":purge": text(keys.pending_work("PURGE", import_.project_id)),
                    ":import": text(import_.id),
                },
            ),
            self._build_finish(ImportStatus.FAILED, sets, finished_at, values),
        )

    def _build_finish(
        self, status: ImportStatus, sets: str, finished_at: datetime, values: Item
    ) -> TransactWriteItemTypeDef:
        return table.build_update(
            keys.project_import(self.import_id),
            f"SET #status = :status, finished_at = :finished_at, {sets} REMOVE lease_holder, lease_until",
            condition="lease_holder = :me",
            names={"#status": "status"},
            values=values
            | {
                ":status": text(status),
                ":finished_at": text(sortable(finished_at)),
                ":me": text(self.holder),
            },
        )


def _set_progress(progress: Progress, values: Item) -> str:
    """Return the assignments of an update expression that store the progress, and add their values to ``values``."""
    values |= {f":{name}": number(getattr(progress, name)) for name in PROGRESS}
    return ", ".join(f"{name} = :{name}" for name in PROGRESS)
