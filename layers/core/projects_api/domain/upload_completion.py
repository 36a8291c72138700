"""The end of uploads: their completion, and the abort of those that can't be completed.

Completing is safe to repeat, and the recovery job continues it if the function dies: the upload's status and the
metadata of its object tell what has happened.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from projects_api.domain import projects, resources, uploaded_files
from projects_api.domain.imports import import_start
from projects_api.domain.permissions import Action
from projects_api.domain.resumption import resume_each
from projects_api.domain.uploads import require_upload
from projects_api.entities.clock import now
from projects_api.entities.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    ProjectNotFoundError,
    StorageUnavailableError,
    UploadBusyError,
    UploadIncompleteError,
    UploadNotFoundError,
)
from projects_api.entities.ids import UploadId, UserId
from projects_api.entities.project_import import Import
from projects_api.entities.resource import Resource
from projects_api.entities.upload import (
    Purpose,
    Upload,
    UploadStatus,
)
from projects_api.storage.aws_errors import ConditionFailedError, PartsChangedError, UploadMissingError
from projects_api.storage.dynamodb import file_store, pending_work, upload_store
from projects_api.storage.s3 import artifact_upload
from projects_api.storage.s3.artifact_upload import AssemblyPendingError

type Outcome = Resource | Import

#: Maximum number of part numbers that an error message names.
NAMED_PARTS = 20


@dataclass(frozen=True, slots=True)
class Completion:
    """The result of completing an upload: the resource or import, or None while S3 is still assembling the parts."""

    upload: Upload
    outcome: Outcome | None


def _require_access(upload: Upload) -> None:
    """Check the role of the upload's user in the project, and abort the upload if it is too low.

    Raises:
        ProjectNotFoundError: The project is deleted, or the user is no longer a member.
        NotAllowedError: The user's role is too low.
    """
    if upload.purpose is Purpose.IMPORT:
        return  # the project is the user's own, and nobody sees it yet
    try:
        projects.get(upload.user_id, upload.project_id, Action.CHANGE_RESOURCES)
    except (ProjectNotFoundError, NotAllowedError):
        with suppress(StorageUnavailableError):  # the recovery job aborts it
            _abort(upload)
        raise


def complete(user_id: UserId, upload_id: UploadId) -> Completion:
    """Assemble the parts of an upload and record its resource. A repeat returns the same result.

    Raises:
        UploadNotFoundError: The user has no such upload.
        ProjectNotFoundError: The project is deleted, or the user is no longer a member. The upload is aborted.
        NotAllowedError: The user's role is too low. The upload is aborted.
        ResourceNotFoundError: The resource to replace is deleted. The upload is aborted.
        UploadIncompleteError: Parts are missing, or have the wrong size.
        UploadBusyError: Another upload of the same file is being completed.
    """
    upload = require_upload(user_id, upload_id)
    _require_access(upload)
    return Completion(upload, _continue_completion(upload))


def _read_outcome(upload: Upload) -> Outcome:
    return import_start.read_outcome(upload) if upload.purpose is Purpose.IMPORT else resources.read_outcome(upload)


def _continue_completion(upload: Upload) -> Outcome | None:
    if upload.status is UploadStatus.COMPLETED:
        return _read_outcome(upload)
    if upload.status is UploadStatus.OPEN and upload.expires_at <= now():
        _abort(upload)
        raise UploadNotFoundError
    try:
        try:
            _assemble(upload)
        except UploadMissingError:  # another run, or this one before a lost response, has completed it in S3
            if artifact_upload.find_version(upload) is None:
                return _completed_elsewhere(upload)
        return _record(upload)
    except AssemblyPendingError:
        return None


def _assemble(upload: Upload) -> None:
    """Create the object from its parts.

    Raises:
        UploadIncompleteError: Parts are missing, or have the wrong size.
        UploadBusyError: Another upload of the same file is being completed.
        UploadMissingError: S3 does not know the multipart upload any more.
        AssemblyPendingError: S3 is still assembling the parts.
    """
    parts = artifact_upload.list_parts(upload)
    wrong = [
        number
        for number in range(1, upload.part_count + 1)
        if number not in parts or parts[number].size != upload.part_size(number)
    ]
    if wrong:
        raise _incomplete_error(upload, wrong)
    try:
        upload_store.begin_completion(upload)
    except ConditionFailedError as error:
        if error.failed[0]:
            raise UploadMissingError from None
        raise UploadBusyError from None
    try:
        artifact_upload.complete(upload, {number: parts[number] for number in range(1, upload.part_count + 1)})
    except PartsChangedError:
        raise UploadIncompleteError(
            "A part was uploaded again while the upload was being completed. Complete the upload once more."
        ) from None


def _incomplete_error(upload: Upload, wrong: list[int]) -> UploadIncompleteError:
    named = ", ".join(map(str, wrong[:NAMED_PARTS])) + (", …" if len(wrong) > NAMED_PARTS else "")
    return UploadIncompleteError(
        f"{len(wrong)} of {upload.part_count} parts are missing or do not have the right size: {named}. "
        "Upload them and complete the upload again. POST …/parts returns a fresh URL for each."
    )


def _completed_elsewhere(upload: Upload) -> Outcome:
    """Return the result of another run that has completed the upload meanwhile.

    Raises:
        UploadNotFoundError: The multipart upload was aborted, so the upload is too.
    """
    current = upload_store.get(upload.user_id, upload.id)
    if current and current.status is UploadStatus.COMPLETED:
        return _read_outcome(current)
    if current:
        _abort(current)
    raise UploadNotFoundError


def _record(upload: Upload) -> Outcome:
    """Record the resource of an upload whose object exists, or start its import, or delete the object."""
    try:
        if upload.purpose is Purpose.IMPORT:
            try:
                return import_start.start_uploaded(upload)
            except ConditionFailedError:
                raise UploadNotFoundError from None
        return resources.record_upload(upload)
    except (NotFoundError, NotAllowedError, ConflictError, StorageUnavailableError) as error:
        current = upload_store.get(upload.user_id, upload.id)
        if current and current.status is UploadStatus.COMPLETED:  # another run has recorded it
            return _read_outcome(current)
        if not isinstance(error, StorageUnavailableError):
            _abort(upload)
        raise


def _abort(upload: Upload) -> None:
    """Abort an upload: delete its parts or its object, then the upload. A completed upload is left alone.

    Each step is safe to repeat. The recovery job continues if the function dies in between.
    """
    if not upload_store.begin_abort(upload):
        return
    artifact_upload.abort(upload)
    version_id = artifact_upload.find_version(upload)
    if version_id:
        artifact_upload.delete_version(upload, version_id)
    if upload.purpose is Purpose.RESOURCE and file_store.release(upload.project_id, upload.key, upload.id, now()):
        uploaded_files.delete_unreferenced(upload.project_id, [upload.key])
    upload_store.delete(upload)


def resume_due(*, by: datetime, should_continue: Callable[[], bool] = lambda: True) -> int:
    """Abort expired uploads, and continue completions and aborts that a function did not finish.

    Args:
        by: The current time.
        should_continue: Returns False when the time is running out.

    Returns:
        The number of uploads.

    Raises:
        StorageUnavailableError: AWS was not available for at least one upload. The next run continues.
    """

    def resume(ids: tuple[UserId, UploadId]) -> int:
        upload = upload_store.get(*ids)
        if upload is None or upload.status is UploadStatus.COMPLETED:
            return 0
        if upload.status is UploadStatus.COMPLETING:
            with suppress(NotFoundError, NotAllowedError, ConflictError):
                _require_access(upload)
                _continue_completion(upload)
        elif upload.status is UploadStatus.ABORTING or upload.expires_at <= by:
            _abort(upload)
        return 1

    return resume_each(pending_work.find_due_uploads(by=by), resume, should_continue=should_continue)
