"""Uploads: files of any size that users send to the artifacts bucket in parts.

The bytes go to S3 directly, by signed URLs. Nothing is recorded before an upload is complete.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from projects_api import settings
from projects_api.domain import projects, resources, uploaded_files
from projects_api.domain.permissions import Action
from projects_api.domain.resource_fields import validate_fields
from projects_api.entities.clock import now
from projects_api.entities.errors import (
    InvalidInputError,
    ProjectNotFoundError,
    StorageUnavailableError,
    TooManyUploadsError,
    UploadNotFoundError,
)
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, ResourceId, UploadId, UserId, new_id
from projects_api.entities.resource import ResourceType
from projects_api.entities.upload import (
    MAX_PART_SIZE,
    MAX_PARTS,
    UPLOAD_LIFETIME,
    Purpose,
    Upload,
    UploadStatus,
)
from projects_api.storage.aws_errors import ConditionFailedError, UploadMissingError
from projects_api.storage.dynamodb import idempotency_store, upload_store
from projects_api.storage.dynamodb.idempotency_store import RepeatedRequestError
from projects_api.storage.s3 import artifact_upload
from projects_api.storage.s3.signed_urls import URL_LIFETIME

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: Maximum number of parts that one request returns.
PAGE_SIZE = artifact_upload.PAGE_SIZE


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to upload.

    Attributes:
        name: The file name that the client states.
        size_bytes: The exact size.
        content_type: The content type.
        part_size_bytes: The size of each part but the last, or None for as few parts as possible.
    """

    name: str
    size_bytes: int
    content_type: str
    part_size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload, and a signed URL if the part is still to be uploaded."""

    number: int
    uploaded: bool
    url: str | None


@dataclass(frozen=True, slots=True)
class PartPage:
    """A page of an upload's parts.

    Attributes:
        upload: The upload.
        parts: The parts on the page.
        urls_expire_at: The time at which the URLs expire.
        next_after: The number of the last part if there are more parts, otherwise None.
    """

    upload: Upload
    parts: list[Part]
    urls_expire_at: datetime
    next_after: int | None


def start_for_new_resource(
    user_id: UserId,
    project_id: ProjectId,
    *,
    type_: ResourceType,
    name: str,
    fields: dict[str, Any],
    file: NewFile,
    request: IdempotentRequest | None,
) -> PartPage:
    """Start the upload of a new resource's file. The resource is recorded when the upload completes.

    Args:
        user_id: The caller.
        project_id: The project.
        type_: The resource's type.
        name: The resource's name.
        fields: The resource's own fields, as ``resource_fields.validate_fields`` returned them.
        file: The file.
        request: The request, if it has an Idempotency-Key. A repeat returns the same upload, with fresh URLs.

    Raises:
        ProjectNotFoundError: The caller is not a member of the project.
        NotAllowedError: The caller's role is too low.
        InvalidInputError: The file is too large, or would have too many parts.
        TooManyUploadsError: The caller has too many unfinished uploads.
    """
    projects.get(user_id, project_id, Action.CHANGE_RESOURCES)
    draft = {"type": type_, "name": name, "fields": fields, "replaces": False}
    return _start(user_id, project_id, ResourceId(new_id()), draft=draft, file=file, request=request)


def start_for_existing_resource(
    user_id: UserId,
    project_id: ProjectId,
    resource_id: ResourceId,
    *,
    type_: ResourceType | None,
    name: str,
    fields: dict[str, Any],
    file: NewFile,
    request: IdempotentRequest | None,
) -> PartPage:
    """Start the upload of a file that replaces a resource's file. The resource changes when the upload completes.

    The arguments and errors are those of ``resources.update`` and ``start_for_new_resource``.
    """
    _, before = resources.require_replaceable(user_id, project_id, resource_id, type_)
    draft = {"type": before.type, "name": name, "fields": validate_fields(before.type, fields), "replaces": True}
    return _start(user_id, project_id, before.id, draft=draft, file=file, request=request)


def _start(
    user_id: UserId,
    project_id: ProjectId,
    resource_id: ResourceId,
    *,
    draft: dict[str, Any],
    file: NewFile,
    request: IdempotentRequest | None,
) -> PartPage:
    first_result = idempotency_store.get(request)
    if first_result:
        return _restore(user_id, first_result)
    part_size = choose_part_size(file.size_bytes, file.part_size_bytes)
    key = uploaded_files.object_key(project_id, draft["type"], resource_id, file.name)
    upload_id, moment = UploadId(new_id()), now()
    upload = Upload(
        id=upload_id,
        user_id=user_id,
        purpose=Purpose.RESOURCE,
        project_id=project_id,
        resource_id=resource_id,
        key=key,
        s3_upload_id=artifact_upload.start(key, upload_id, content_type=file.content_type),
        content_type=file.content_type,
        size_bytes=file.size_bytes,
        part_size_bytes=part_size,
        created_at=moment,
        expires_at=moment + UPLOAD_LIFETIME,
        draft=draft,
    )
    try:
        store(upload, request)
    except RepeatedRequestError as repeat:
        return _restore(user_id, repeat.result)
    return sign_first_parts(upload)


def store(
    upload: Upload, request: IdempotentRequest | None, *, first_write: TransactWriteItemTypeDef | None = None
) -> None:
    """Store a new upload, or abort its multipart upload in S3 if it cannot be stored.

    Args:
        upload: The upload.
        request: The request, if it has an Idempotency-Key.
        first_write: The first write of the transaction. By default, a check that the project is not deleted.

    Raises:
        ProjectNotFoundError: The project is deleted.
        TooManyUploadsError: The user has too many unfinished uploads.
        RepeatedRequestError: An earlier request with the same Idempotency-Key started an upload.
    """
    limit = settings.max_open_uploads()
    try:
        upload_store.insert(upload, max_open=limit, request=request, first_write=first_write)
    except (ConditionFailedError, RepeatedRequestError) as error:
        with suppress(StorageUnavailableError):  # the bucket's lifecycle rule aborts it after a week
            artifact_upload.abort(upload)
        if isinstance(error, ConditionFailedError):
            raise (ProjectNotFoundError() if error.failed[0] else TooManyUploadsError(limit)) from None
        raise


def _restore(user_id: UserId, result: dict[str, Any]) -> PartPage:
    """Return the upload that an earlier request with the same Idempotency-Key has started."""
    return sign_first_parts(require_upload(user_id, UploadId(result["upload_id"])))


def choose_part_size(
    size_bytes: int, part_size_bytes: int | None, *, location: tuple[str, ...] = ("body", "file")
) -> int:
    """Return the size of each part but the last.

    Args:
        size_bytes: The size of the file.
        part_size_bytes: The size of each part but the last that the client requests, or None.
        location: The location of ``size_bytes`` in the request.

    Raises:
        InvalidInputError: The file is larger than the deployment allows, or would have too many parts.
    """
    limit = settings.max_upload_bytes()
    if size_bytes > limit:
        raise InvalidInputError(
            f"The file has {size_bytes} bytes: the maximum is {limit}.", loc=(*location, "size_bytes")
        )
    part_size = part_size_bytes or MAX_PART_SIZE
    if size_bytes > part_size * MAX_PARTS:
        smallest = -(-size_bytes // MAX_PARTS)
        raise InvalidInputError(
            f"A file of {size_bytes} bytes would have more than {MAX_PARTS} parts: "
            f"send a part_size_bytes of at least {smallest}.",
            loc=("body", "part_size_bytes"),
        )
    return part_size


def sign_first_parts(upload: Upload) -> PartPage:
    """Return the first parts of an upload, each with a signed URL unless the upload is complete."""
    uploaded = upload.status is not UploadStatus.OPEN
    expires_at = now() + URL_LIFETIME
    numbers = range(1, min(upload.part_count, PAGE_SIZE) + 1)
    parts = [
        Part(number, uploaded, None if uploaded else artifact_upload.sign_part(upload, number)) for number in numbers
    ]
    return PartPage(upload, parts, expires_at, numbers[-1] if upload.part_count > numbers[-1] else None)


def list_parts(user_id: UserId, upload_id: UploadId, *, after: int) -> PartPage:
    """Return the parts after a number, with a fresh URL for each that is still to be uploaded.

    A part whose size is wrong counts as missing. Of a completed upload, all parts are uploaded.

    Raises:
        UploadNotFoundError: The user has no such upload.
        ProjectNotFoundError: The user is no longer a member of the project.
        NotAllowedError: The user's role is too low.
    """
    upload = require_upload(user_id, upload_id)
    if upload.purpose is Purpose.RESOURCE:
        projects.get(user_id, upload.project_id, Action.CHANGE_RESOURCES)
    expires_at = now() + URL_LIFETIME
    numbers = range(after + 1, min(upload.part_count, after + PAGE_SIZE) + 1)
    existing = None
    if numbers and upload.status is UploadStatus.OPEN:
        try:
            existing = artifact_upload.list_parts(upload, after=after, limit=len(numbers))
        except UploadMissingError:
            raise UploadNotFoundError from None
    parts = []
    for number in numbers:
        uploaded = existing is None or (number in existing and existing[number].size == upload.part_size(number))
        parts.append(Part(number, uploaded, None if uploaded else artifact_upload.sign_part(upload, number)))
    return PartPage(upload, parts, expires_at, numbers[-1] if numbers and numbers[-1] < upload.part_count else None)


def require_upload(user_id: UserId, upload_id: UploadId) -> Upload:
    """Return an upload of the user that is not being aborted.

    Raises:
        UploadNotFoundError: There is no such upload.
    """
    upload = upload_store.get(user_id, upload_id)
    if upload is None or upload.status is UploadStatus.ABORTING:
        raise UploadNotFoundError
    return upload
