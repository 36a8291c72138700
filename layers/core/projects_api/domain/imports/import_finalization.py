"""The last step of an import: start the purge of a failed one, delete the uploaded archive, and publish the outcome."""

from contextlib import suppress
from dataclasses import replace
from itertools import batched
from uuid import UUID, uuid5

from projects_api.domain.announcements import PROJECT_CREATED, announce_project, announce_resource
from projects_api.entities.announcement import Announcement
from projects_api.entities.clock import rfc3339
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import AnnouncementId, ImportId
from projects_api.entities.project_import import Import, ImportStatus
from projects_api.storage import eventbridge, sqs
from projects_api.storage.dynamodb import import_store, project_store, resource_store
from projects_api.storage.s3 import import_source

#: Number of resources that are announced together.
BATCH_SIZE = 100


def finalize_import(import_id: ImportId) -> Import | None:
    """Finalize a finished import.

    The function is safe to repeat, and callers repeat it until it succeeds.

    Returns:
        The import if this call finalized it. None if it is not finished, is already finalized, or no longer exists.

    Raises:
        StorageUnavailableError: AWS was not available. The import is not finalized yet.
    """
    import_ = import_store.get(import_id)
    if import_ is None or import_.finished_at is None or import_.finalized:
        return None
    if import_.status is ImportStatus.FAILED:
        with suppress(StorageUnavailableError):  # the recovery job queues the purge later
            sqs.send_purge(import_.project_id)
    else:
        _announce_content(import_)
    import_source.delete_uploaded_archive(import_)
    failed = import_.status is ImportStatus.FAILED
    eventbridge.publish(
        "Project Import Failed" if failed else "Project Import Ready",
        {
            "import_id": import_.id,
            "project_id": None if failed else import_.project_id,
            "user_id": import_.importer.user_id,
            "occurred_at": rfc3339(import_.finished_at),
            "error_count": import_.error_count,
        },
    )
    import_store.mark_finalized(import_id)
    return import_


def _announce_content(import_: Import) -> None:
    """Announce the new project and its resources on the bus.

    The import is the outbox of these events: it is finalized after the bus has accepted all of them. A repeat sends
    them again with the same ids.

    Raises:
        StorageUnavailableError: The bus has not accepted all events.
    """
    project = project_store.get(import_.project_id)
    if project is None or project.deleted_at:
        return
    announcement = announce_project(
        PROJECT_CREATED,
        project.id,
        name=project.name,
        user_id=import_.importer.user_id,
        occurred_at=import_.finished_at or project.created_at,
    )
    _publish([_with_stable_id(import_, announcement, project.id)])
    for resources in batched(resource_store.list_all(project.id), BATCH_SIZE, strict=False):
        _publish(
            [
                _with_stable_id(import_, announce_resource("Created", project.id, resource), "#".join(resource.key))
                for resource in resources
            ]
        )


def _with_stable_id(import_: Import, announcement: Announcement, name: str) -> Announcement:
    id_ = AnnouncementId(str(uuid5(UUID(import_.id), name)))
    return replace(announcement, id=id_, detail=announcement.detail | {"announcement_id": id_})


def _publish(announcements: list[Announcement]) -> None:
    if len(list(eventbridge.publish_announcements(announcements))) < len(announcements):
        raise StorageUnavailableError
