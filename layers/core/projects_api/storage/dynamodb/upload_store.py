"""Uploads in the table: in the partition of the user who started them, and counted in the user's own item."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from projects_api.entities.clock import now, sortable
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import UploadId, UserId
from projects_api.entities.resource import Resource
from projects_api.entities.upload import UPLOAD_LIFETIME, Purpose, Upload, UploadStatus
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import file_store, idempotency_store, keys, table
from projects_api.storage.dynamodb.item_mapping import upload_from_item, upload_to_item
from projects_api.storage.dynamodb.keys import number, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: How long a function may take to complete or abort an upload. The recovery job then continues.
COMPLETION_TIMEOUT = timedelta(minutes=1)


def get(user_id: UserId, upload_id: UploadId) -> Upload | None:
    """Return the user's upload, or None if it does not exist or belongs to another user."""
    item = table.get_item(keys.upload(user_id, upload_id))
    return upload_from_item(item) if item else None


def insert(
    upload: Upload,
    *,
    max_open: int,
    request: IdempotentRequest | None = None,
    first_write: TransactWriteItemTypeDef | None = None,
) -> None:
    """Store a new upload and count it, unless the user has ``max_open`` unfinished uploads already.

    Args:
        upload: The upload.
        max_open: Maximum number of unfinished uploads of the user.
        request: The request, if it has an Idempotency-Key.
        first_write: The write that comes first. By default, a check that the project is not deleted.

    Raises:
        RepeatedRequestError: An earlier request with the same Idempotency-Key started an upload.
        ConditionFailedError: The project is deleted (the first write), or the user has too many uploads (the second).
    """
    idempotency_store.transact(
        request,
        {"upload_id": upload.id},
        first_write or table.build_condition_check(keys.project(upload.project_id), condition=keys.ACTIVE),
        table.build_update(
            keys.user(upload.user_id),
            "ADD upload_count :one",
            condition="attribute_exists(PK) AND (attribute_not_exists(upload_count) OR upload_count < :limit)",
            values={":one": number(1), ":limit": number(max_open)},
        ),
        table.build_put(upload_to_item(upload), condition="attribute_not_exists(PK)"),
    )


def begin_completion(upload: Upload) -> None:
    """Set the status of an open upload to completing, and reserve the key of its file.

    Raises:
        ConditionFailedError: The upload is not open any more (the first write), or another upload is being completed
            at the same key (the second).
    """
    writes = [
        table.build_update(
            keys.upload(upload.user_id, upload.id),
            "SET #status = :completing, due_at = :due",
            condition="#status = :open OR #status = :completing",
            names={"#status": "status"},
            values={
                ":open": text(UploadStatus.OPEN),
                ":completing": text(UploadStatus.COMPLETING),
                ":due": text(sortable(now() + COMPLETION_TIMEOUT)),
            },
        )
    ]
    if upload.purpose is Purpose.RESOURCE:
        writes.append(file_store.build_reservation(upload.project_id, upload.key, upload.id))
    table.transact(*writes)


def build_completion(upload: Upload, resource: Resource | None, moment: datetime) -> list[TransactWriteItemTypeDef]:
    """Return the transaction writes that store the outcome of an upload, together with the resource or import.

    The item stays for another week, because a repeated request gets the same response. The first condition fails if the
    upload is completed or aborted already.
    """
    return [
        table.build_update(
            keys.upload(upload.user_id, upload.id),
            "SET #status = :completed, completed_at = :at, version = :version, expires_at = :expires"
            " REMOVE pending_work, due_at",
            condition="#status = :completing",
            names={"#status": "status"},
            values={
                ":completed": text(UploadStatus.COMPLETED),
                ":completing": text(UploadStatus.COMPLETING),
                ":at": text(sortable(resource.timestamp if resource else moment)),
                ":version": text(resource.version if resource else ""),
                ":expires": number(int((moment + UPLOAD_LIFETIME).timestamp())),
            },
        ),
        _build_count_update(upload.user_id),
    ]


def begin_abort(upload: Upload) -> bool:
    """Set the status to aborting, after which the upload cannot be completed.

    Returns:
        False if the upload is completed, or does not exist any more.
    """
    try:
        table.update_item(
            keys.upload(upload.user_id, upload.id),
            "SET #status = :aborting, due_at = :due",
            condition="attribute_exists(PK) AND #status <> :completed",
            names={"#status": "status"},
            values={
                ":aborting": text(UploadStatus.ABORTING),
                ":completed": text(UploadStatus.COMPLETED),
                ":due": text(sortable(now() + COMPLETION_TIMEOUT)),
            },
        )
    except ConditionFailedError:
        return False
    return True


def delete(upload: Upload) -> None:
    """Delete an upload that is being aborted, and no longer count it. Nothing happens if it is deleted already."""
    deletion = table.build_delete(
        keys.upload(upload.user_id, upload.id),
        condition="#status = :aborting",
        names={"#status": "status"},
        values={":aborting": text(UploadStatus.ABORTING)},
    )
    try:
        table.transact(deletion, _build_count_update(upload.user_id))
    except ConditionFailedError:
        return


def _build_count_update(user_id: UserId) -> TransactWriteItemTypeDef:
    return table.build_update(
        keys.user(user_id), "ADD upload_count :less", condition="attribute_exists(PK)", values={":less": number(-1)}
    )
