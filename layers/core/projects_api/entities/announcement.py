"""Announcements: events that the service itself puts on the bus."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from projects_api.entities.ids import AnnouncementId

#: The value of ``detail.announced_by`` in the events of resources that changed over HTTP or by an import. The service's
#: own rule on the bus ignores events with this field.
ANNOUNCED_BY = "projects"


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event that must reach the bus at least once.

    Attributes:
        id: The id. A consumer that sees it twice in ``detail.announcement_id`` has received the event twice.
        detail_type: The detail-type of the event.
        detail: The detail of the event. It never contains an email address or a URL.
        created_at: The time of the change.
    """

    id: AnnouncementId
    detail_type: str
    detail: dict[str, Any]
    created_at: datetime
