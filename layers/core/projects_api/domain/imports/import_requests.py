"""Requests for imports: start and get them."""

from contextlib import suppress
from typing import Any

from projects_api.domain import uploads
from projects_api.domain.imports.import_start import EXPORT_HOLD, new_project, record_expiry
from projects_api.domain.permissions import Action, require_membership
from projects_api.domain.uploads import PartPage
from projects_api.entities.clock import now
from projects_api.entities.errors import (
    ExportNotFoundError,
    ExportNotReadyError,
    ImportNotFoundError,
    StorageUnavailableError,
    UploadNotFoundError,
)
from projects_api.entities.export import ExportStatus
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ExportId, ImportId, ProjectId, ResourceId, UploadId, UserId, new_id
from projects_api.entities.project import Caller
from projects_api.entities.project_import import CopiedExport, Import, ImportStatus, MembersMode
from projects_api.entities.upload import UPLOAD_LIFETIME, Purpose, Upload
from projects_api.storage import sqs
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import export_store, idempotency_store, import_store, upload_store
from projects_api.storage.dynamodb.idempotency_store import RepeatedRequestError
from projects_api.storage.s3 import archive_store, artifact_upload, import_source


def start_copy(
    caller: Caller,
    project_id: ProjectId,
    export_id: ExportId,
    *,
    name: str | None,
    members: MembersMode,
    request: IdempotentRequest | None = None,
) -> Import:
    """Start an import that copies the archive of an export.

    Args:
        caller: The caller, who becomes the owner of the new project.
        project_id: The project of the export.
        export_id: The export.
        name: The name of the new project, or None for the name in the manifest.
        members: The members to add.
        request: The request, if it has an Idempotency-Key. A repeat returns the import that it started.

    Raises:
        ProjectNotFoundError: The caller is not a member of the exported project.
        ExportNotFoundError: The export does not exist, or it has expired.
        ExportNotReadyError: The export is not ready.
        InvalidInputError: An earlier request with the same Idempotency-Key had another body.
    """
    first_result = idempotency_store.get(request)
    if first_result:
        return get(caller.user_id, ImportId(first_result["import_id"]))
    membership, export = export_store.get_with_membership(project_id, caller.user_id, export_id)
    require_membership(membership, Action.READ)
    if export is None:
        raise ExportNotFoundError
    if export.status is not ExportStatus.READY:
        raise ExportNotReadyError(export.status)
    moment = now()
    import_ = Import(
        id=ImportId(new_id()),
        importer=caller,
        project_id=ProjectId(new_id()),
        status=ImportStatus.PENDING,
        members=members,
        created_at=moment,
        expires_at=record_expiry(moment),
        copied_export=CopiedExport(project_id, export_id),
        name=name,
        size_bytes=export.size_bytes,
        stalled_at=moment + sqs.MESSAGE_TIMEOUT,
    )
    hold = export_store.build_hold(project_id, export_id, until=moment + EXPORT_HOLD)
    try:
        import_store.start_copy(import_, new_project(import_, moment), hold, request=request)
    except RepeatedRequestError as repeat:
        return get(caller.user_id, ImportId(repeat.result["import_id"]))
    except ConditionFailedError:  # the archive is being removed
        raise ExportNotFoundError from None
    with suppress(StorageUnavailableError):  # the import is stored, and the recovery job sends the message later
        sqs.send_import(import_.id)
    return import_


def start_upload(
    caller: Caller,
    *,
    size_bytes: int,
    part_size_bytes: int | None,
    name: str | None,
    members: MembersMode,
    request: IdempotentRequest | None = None,
) -> tuple[Import, PartPage]:
    """Start the upload of an archive. Completing the upload starts the import.

    Args:
        caller: The caller, who becomes the owner of the new project.
        size_bytes: The size of the archive.
        part_size_bytes: The size of each part but the last, or None for as few parts as possible.
        name: The name of the new project, or None for the name in the manifest.
        members: The members to add.
        request: The request, if it has an Idempotency-Key. A repeat returns the same import, with fresh URLs.

    Raises:
        InvalidInputError: The archive is too large, or would have too many parts.
        TooManyUploadsError: The caller has too many unfinished uploads.
    """
    first_result = idempotency_store.get(request)
    if first_result:
        return _restore_upload(caller.user_id, first_result)
    part_size = uploads.choose_part_size(size_bytes, part_size_bytes, location=("body",))
    import_id, upload_id, moment = ImportId(new_id()), UploadId(new_id()), now()
    key = import_source.uploaded_archive_key(import_id)
    upload = Upload(
        id=upload_id,
        user_id=caller.user_id,
        purpose=Purpose.IMPORT,
        project_id=ProjectId(new_id()),
        resource_id=ResourceId(import_id),
        key=key,
        s3_upload_id=artifact_upload.start(key, upload_id, content_type=archive_store.CONTENT_TYPE),
        content_type=archive_store.CONTENT_TYPE,
        size_bytes=size_bytes,
        part_size_bytes=part_size,
        created_at=moment,
        expires_at=moment + UPLOAD_LIFETIME,
        draft={},
    )
    import_ = Import(
        id=import_id,
        importer=caller,
        project_id=upload.project_id,
        status=ImportStatus.UPLOADING,
        members=members,
        created_at=moment,
        expires_at=upload.expires_at,
        name=name,
        size_bytes=size_bytes,
    )
    try:
        uploads.store(upload, request, first_write=import_store.build_put(import_))
    except RepeatedRequestError as repeat:
        return _restore_upload(caller.user_id, repeat.result)
    return import_, uploads.sign_first_parts(upload)


def _restore_upload(user_id: UserId, result: dict[str, Any]) -> tuple[Import, PartPage]:
    upload = upload_store.get(user_id, UploadId(result["upload_id"]))
    if upload is None:
        raise UploadNotFoundError
    return get(user_id, ImportId(upload.resource_id)), uploads.sign_first_parts(upload)


def get(user_id: UserId, import_id: ImportId) -> Import:
    """Return an import of the user.

    Raises:
        ImportNotFoundError: The import does not exist, is somebody else's, or its record has expired.
    """
    import_ = import_store.get(import_id)
    if import_ is None or import_.importer.user_id != user_id:
        raise ImportNotFoundError
    return import_
