"""Uploaded files in the table: how many resources name each, and which are to be deleted."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from projects_api.entities.clock import sortable
from projects_api.entities.ids import ProjectId, UploadId
from projects_api.entities.resource import UploadedFile
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.item_mapping import uploaded_file_from_item
from projects_api.storage.dynamodb.keys import Item, number, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


def get_by_digest(project_id: ProjectId, digest: str) -> UploadedFile | None:
    """Return the uploaded file whose key has this digest, or None."""
    item = table.get_item(keys.uploaded_file_by_digest(project_id, digest))
    return uploaded_file_from_item(item) if item else None


def build_reservation(project_id: ProjectId, key: str, upload_id: UploadId) -> TransactWriteItemTypeDef:
    """Return the transaction write by which one upload alone may complete at a key.

    Its condition fails while another upload completes at the key, or while the object there is being deleted.
    """
    return table.build_update(
        keys.uploaded_file(project_id, key),
        "SET #key = :key, upload_id = :upload, resource_count = if_not_exists(resource_count, :none)",
        condition="attribute_not_exists(deleting) AND (attribute_not_exists(upload_id) OR upload_id = :upload)",
        names={"#key": "key"},
        values={":key": text(key), ":upload": text(upload_id), ":none": number(0)},
    )


def build_count_update(
    project_id: ProjectId,
    file: UploadedFile,
    *,
    resource_count: int,
    moment: datetime,
    size_bytes: int | None = None,
) -> TransactWriteItemTypeDef:
    """Return the transaction write that changes how many resources name a file.

    A file that no resource names any more becomes due for deletion at ``moment``. A given size ends the reservation of
    the upload that has completed.

    The condition fails if the file has changed since it was read.
    """
    values = {":before": number(file.resource_count), ":after": number(resource_count)}
    sets, removes = "resource_count = :after", []
    condition = "resource_count = :before AND attribute_not_exists(deleting)"
    if size_bytes is not None:
        sets += ", size_bytes = :size"
        values[":size"] = number(size_bytes)
        removes.append("upload_id")
    if resource_count == 0:
        sets += ", pending_work = :work, due_at = :moment"
        values |= _work_values(project_id, moment)
    else:
        removes += ["pending_work", "due_at"]
    expression = f"SET {sets}" + (f" REMOVE {', '.join(removes)}" if removes else "")
    return table.build_update(keys.uploaded_file(project_id, file.key), expression, condition=condition, values=values)


def release(project_id: ProjectId, key: str, upload_id: UploadId, moment: datetime) -> bool:
    """End the reservation of an upload that was aborted. Without a resource, the file becomes due for deletion.

    Returns:
        Whether the file is due for deletion.
    """
    values = {":upload": text(upload_id), ":none": number(0)}
    with suppress(ConditionFailedError):
        table.update_item(
            keys.uploaded_file(project_id, key),
            "REMOVE upload_id",
            condition="upload_id = :upload AND resource_count > :none",
            values=values,
        )
        return False
    with suppress(ConditionFailedError):
        table.update_item(
            keys.uploaded_file(project_id, key),
            "SET pending_work = :work, due_at = :moment REMOVE upload_id",
            condition="upload_id = :upload AND resource_count = :none",
            values=values | _work_values(project_id, moment),
        )
        return True
    return False


def begin_deletion(project_id: ProjectId, key: str) -> bool:
    """Mark a file as being deleted, unless a resource names it or an upload completes at its key.

    Returns:
        Whether the file is being deleted.
    """
    try:
        table.update_item(
            keys.uploaded_file(project_id, key),
            "SET deleting = :true",
            condition="resource_count = :none AND attribute_not_exists(upload_id)",
            values={":true": {"BOOL": True}, ":none": number(0)},
        )
    except ConditionFailedError:
        return False
    return True


def delete(project_id: ProjectId, key: str) -> None:
    """Delete the item of a file that is being deleted, after its object."""
    with suppress(ConditionFailedError):
        table.transact(table.build_delete(keys.uploaded_file(project_id, key), condition="attribute_exists(deleting)"))


def _work_values(project_id: ProjectId, moment: datetime) -> Item:
    """Return the values that make a file due for deletion."""
    return {":work": text(keys.pending_work("FILE", project_id)), ":moment": text(sortable(moment))}
