"""The outbox: announcements in the table, from the transaction of their change until the bus has accepted them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from projects_api.entities.announcement import Announcement
from projects_api.entities.ids import AnnouncementId
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.item_mapping import announcement_from_item, announcement_to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: How long the function that changed something may take to announce the change itself. The recovery job then does so.
#: No function of a route runs longer.
SENDING_TIMEOUT = timedelta(seconds=30)


def build_put(announcement: Announcement) -> TransactWriteItemTypeDef:
    """Return the transaction write that stores an announcement together with the change that it announces."""
    return table.build_put(announcement_to_item(announcement, announcement.created_at + SENDING_TIMEOUT))


def get_many(announcement_ids: Sequence[AnnouncementId]) -> list[Announcement]:
    """Return the announcements that are still to be sent, the oldest first."""
    items = table.get_items([keys.announcement(id_) for id_ in announcement_ids])
    return sorted(map(announcement_from_item, items.values()), key=lambda announcement: announcement.id)


def delete(announcement_ids: Iterable[AnnouncementId]) -> None:
    """Delete announcements that the bus has accepted."""
    table.delete_items([keys.announcement(id_) for id_ in announcement_ids])
