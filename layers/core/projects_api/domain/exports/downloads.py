"""Downloads: the activity shows the first time that a user gets a URL of an export, or the archive itself."""

from collections.abc import Sequence
from contextlib import suppress

from aws_lambda_powertools import Logger

from projects_api.entities.activity_entry import ActivityAction, ActivityObject, Actor, new_entry
from projects_api.entities.export import Export
from projects_api.entities.ids import ProjectId
from projects_api.storage.aws_errors import ConditionFailedError
from projects_api.storage.dynamodb import activity_store

logger = Logger(child=True)


def record_downloads(project_id: ProjectId, actor: Actor, exports: Sequence[Export]) -> None:
    """Record that a user gets URLs of exports, once for each user and export.

    No download is refused because it cannot be recorded. The next URL that the user gets is recorded instead.

    Args:
        project_id: The project.
        actor: The user.
        exports: The exports, all ready.
    """
    user_id = actor.user_id
    if user_id is None or not exports:
        return
    try:
        recorded = activity_store.find_downloaded(project_id, user_id, [export.id for export in exports])
        for export in exports:
            if export.id not in recorded:
                object_ = ActivityObject("export", export.id)
                entry = new_entry(project_id, actor, ActivityAction.EXPORT_DOWNLOADED, object_)
                with suppress(ConditionFailedError):  # a parallel request recorded it, or the project was deleted
                    activity_store.insert_download(entry, user_id)
    except Exception as error:  # noqa: BLE001 - the download is more important than its record
        logger.warning("A download could not be recorded: %s", type(error).__name__)
