"""The EventBridge bus: publish events for other services."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from projects_api import settings
from projects_api.entities.announcement import Announcement
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import AnnouncementId
from projects_api.storage import clients
from projects_api.storage.aws_errors import translate_aws_errors

SOURCE = "mlplatform.projects"

#: Maximum number of entries of a PutEvents request, and a size in bytes that is below every limit that AWS has had for
#: all entries together (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html).
MAX_ENTRIES = 10
MAX_ENTRIES_SIZE = 240_000


def publish(detail_type: str, detail: dict[str, Any]) -> None:
    """Publish an event on the bus.

    Raises:
        StorageUnavailableError: EventBridge is not available or did not accept the event.
    """
    if not all(_put_events([(detail_type, json.dumps(detail))])):
        raise StorageUnavailableError


def publish_announcements(announcements: Sequence[Announcement]) -> Iterator[AnnouncementId]:
    """Publish announcements on the bus, several with each request, and yield the ids of those that it has accepted.

    Raises:
        StorageUnavailableError: EventBridge is not available. The bus may have accepted the events nevertheless.
    """
    for batch in _batches(announcements):
        accepted = _put_events([(announcement.detail_type, detail) for announcement, detail in batch])
        yield from (announcement.id for (announcement, _), taken in zip(batch, accepted, strict=True) if taken)


def _batches(announcements: Sequence[Announcement]) -> Iterator[list[tuple[Announcement, str]]]:
    """Yield the announcements, each with its detail as JSON, in batches that one request can take."""
    batch: list[tuple[Announcement, str]] = []
    size = 0
    for announcement in announcements:
        detail = json.dumps(announcement.detail, ensure_ascii=False)
        if batch and (len(batch) == MAX_ENTRIES or size + len(detail.encode()) > MAX_ENTRIES_SIZE):
            yield batch
            batch, size = [], 0
        batch.append((announcement, detail))
        size += len(detail.encode())
    if batch:
        yield batch


def _put_events(events: Sequence[tuple[str, str]]) -> list[bool]:
    """Send events, each a detail-type and a detail as JSON, and return for each whether the bus has accepted it."""
    with translate_aws_errors():
        response = clients.events().put_events(
            Entries=[
                {"EventBusName": settings.bus(), "Source": SOURCE, "DetailType": detail_type, "Detail": detail}
                for detail_type, detail in events
            ]
        )
    return ["ErrorCode" not in entry for entry in response["Entries"]]
