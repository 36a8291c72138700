"""The start of an import whose archive exists."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from projects_api.entities.clock import now
from projects_api.entities.errors import ImportNotFoundError, StorageUnavailableError
from projects_api.entities.ids import ImportId
from projects_api.entities.project import Project
from projects_api.entities.project_import import Import, ImportStatus
from projects_api.entities.upload import Upload
from projects_api.storage import sqs
from projects_api.storage.dynamodb import import_store, upload_store

#: How long the record of an import is kept.
RECORD_LIFETIME = timedelta(days=30)

#: How long a started import, and each run of its worker, keep the export that they copy from being removed.
EXPORT_HOLD = timedelta(hours=1)


def record_expiry(moment: datetime) -> datetime:
    """Return the time at which the record of an import that starts at ``moment`` expires."""
    return moment.replace(microsecond=0) + RECORD_LIFETIME


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


def read_outcome(upload: Upload) -> Import:
    """Return the import of a completed upload.

    Raises:
        ImportNotFoundError: Its record has expired.
    """
    import_ = import_store.get(ImportId(upload.resource_id))
    if import_ is None:
        raise ImportNotFoundError
    return import_


def start_uploaded(upload: Upload) -> Import:
    """Start the import of an archive whose upload S3 has assembled.

    Raises:
        ImportNotFoundError: The import has expired.
        ConditionFailedError: The upload is completed or aborted already.
    """
    import_, moment = read_outcome(upload), now()
    stalled_at, expires_at = moment + sqs.MESSAGE_TIMEOUT, record_expiry(moment)
    import_store.start_uploaded(
        import_,
        new_project(import_, moment),
        *upload_store.build_completion(upload, None, moment),
        stalled_at=stalled_at,
        expires_at=expires_at,
    )
    with suppress(StorageUnavailableError):  # the import is stored, and the recovery job sends the message later
        sqs.send_import(import_.id)
    return replace(import_, status=ImportStatus.PENDING, stalled_at=stalled_at, expires_at=expires_at)
