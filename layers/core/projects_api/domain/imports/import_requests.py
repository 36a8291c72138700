"""Requests for imports: start and get them."""

from contextlib import suppress
from datetime import datetime, timedelta

from projects_api.domain.permissions import Action, require_membership
from projects_api.entities.clock import now
from projects_api.entities.errors import (
    ExportNotFoundError,
    ExportNotReadyError,
    ImportNotFoundError,
    StorageUnavailableError,
)
from projects_api.entities.export import ExportStatus
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ExportId, ImportId, ProjectId, UserId, new_id
from projects_api.entities.project import Caller, Project
from projects_api.entities.project_import import CopiedExport, Import, ImportStatus, MembersMode
from projects_api.storage import sqs
from projects_api.storage.dynamodb import export_store, idempotency_store, import_store
from projects_api.storage.dynamodb.idempotency_store import RepeatedRequestError

#: How long the record of an import is kept.
RECORD_LIFETIME = timedelta(days=30)


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
        expires_at=_record_expiry(moment),
        copied_export=CopiedExport(project_id, export_id),
        name=name,
        size_bytes=export.size_bytes,
        stalled_at=moment + sqs.MESSAGE_TIMEOUT,
    )
    try:
        import_store.insert(import_, new_project(import_, moment), request=request)
    except RepeatedRequestError as repeat:
        return get(caller.user_id, ImportId(repeat.result["import_id"]))
    with suppress(StorageUnavailableError):  # the import is stored, and the recovery job sends the message later
        sqs.send_import(import_.id)
    return import_


def new_project(import_: Import, moment: datetime) -> Project:
    """Return the project that an import makes, as it is stored before the import is ready."""
    return Project(
        id=import_.project_id,
        name=import_.name or "",
        description="",
        owner_id=import_.importer.user_id,
        created_at=moment,
        updated_at=moment,
        member_count=0,
        import_id=import_.id,
    )


def get(user_id: UserId, import_id: ImportId) -> Import:
    """Return an import of the user.

    Raises:
        ImportNotFoundError: The import does not exist, is somebody else's, or its record has expired.
    """
    import_ = import_store.get(import_id)
    if import_ is None or import_.importer.user_id != user_id:
        raise ImportNotFoundError
    return import_


def _record_expiry(moment: datetime) -> datetime:
    return moment.replace(microsecond=0) + RECORD_LIFETIME
