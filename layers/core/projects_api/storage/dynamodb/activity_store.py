"""The audit trails of projects.

A project has one partition for each month, so no partition grows without bound, and entries do not count against the
10 GB of a project's own partition. DynamoDB deletes entries after ``ActivityRetentionDays``, with a delay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from projects_api import settings
from projects_api.entities.activity_entry import ActivityAction, ActivityEntry
from projects_api.entities.clock import now
from projects_api.entities.ids import ExportId, ProjectId, UserId
from projects_api.entities.project import Project
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.item_mapping import activity_from_item, activity_to_item
from projects_api.storage.dynamodb.keys import ACTIVE, Item, number

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

#: Maximum number of Query calls for one page. A page can therefore have fewer entries than its limit.
MAX_QUERIES = 24

#: Number of entries that one Query call reads if only those of one action are returned.
FILTERED_PAGE_SIZE = 1_000

#: Clocks of two functions differ by less than this.
CLOCK_SKEW = timedelta(hours=1)

#: Number of items that one call of ``delete_batch`` deletes at most.
_BATCH_SIZE = 500


def build_entry(entry: ActivityEntry) -> TransactWriteItemTypeDef:
    """Return the transaction write that stores an entry. Each change includes the write in its own transaction."""
    expires_at = entry.at + timedelta(days=settings.activity_retention_days())
    return table.build_put(activity_to_item(entry) | {"expires_at": number(int(expires_at.timestamp()))})


def list_page(
    project: Project, *, action: ActivityAction | None, after: tuple[datetime, str] | None, limit: int
) -> tuple[list[ActivityEntry], tuple[datetime, str] | None]:
    """Return a page of the entries of a project, newest first.

    Args:
        project: The project.
        action: Return only entries with this action.
        after: The time and id of the entry to start after, or None for the first page. Without an id, start with the
            month before.
        limit: Maximum number of entries to return.

    Returns:
        The entries, and the position to continue from, or None at the end. After ``MAX_QUERIES`` calls, the page ends
        with fewer entries than ``limit``, possibly none.
    """
    moment = now()
    entries: list[ActivityEntry] = []
    position = after
    newest, start = after[0] if after else moment + CLOCK_SKEW, keys.activity(project.id, *after) if after else None
    if after and not after[1]:  # the position is before all entries of its month
        newest, start = _first_moment(newest) - timedelta(days=1), None
    queries = 0
    for month in _months(newest, project.created_at - CLOCK_SKEW):
        while True:
            if queries == MAX_QUERIES:
                return entries, position
            queries += 1
            page = table.query_page(
                keys.activity_partition(project.id, month),
                begins_with="",
                after=start,
                limit=FILTERED_PAGE_SIZE if action else limit,
                descending=True,
            )
            for item in page.items:
                entry = activity_from_item(project.id, item)
                if action in {None, entry.action} and int(item["expires_at"]["N"]) > moment.timestamp():
                    if len(entries) == limit:
                        return entries, (entries[-1].at, entries[-1].id)
                    entries.append(entry)
                position, start = (entry.at, entry.id), {name: item[name] for name in ("PK", "SK")}
            if not page.has_more:
                break
        position, start = (_first_moment(month), ""), None
    return entries, None


def _months(newest: datetime, oldest: datetime) -> Iterator[datetime]:
    """Yield a moment of each month from ``newest`` back to ``oldest``."""
    month = _first_moment(newest)
    while month >= _first_moment(oldest):
        yield month
        month = _first_moment(month - timedelta(days=1))


def _first_moment(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def find_downloaded(project_id: ProjectId, user_id: UserId, export_ids: Collection[ExportId]) -> set[ExportId]:
    """Return those of the exports of which the user has had a URL or the archive before."""
    markers = {export_id: keys.download(project_id, export_id, user_id) for export_id in export_ids}
    items = table.get_items(list(markers.values()))
    return {export_id for export_id, key in markers.items() if keys.identity(key) in items}


def insert_download(entry: ActivityEntry, user_id: UserId) -> None:
    """Store the entry of a user's first download of an export, with a marker that it is stored.

    Raises:
        ConditionFailedError: The entry is stored already, or the project is deleted.
    """
    export_id = ExportId(entry.object.id)
    expires_at = entry.at + timedelta(days=settings.activity_retention_days())
    marker = keys.download(entry.project_id, export_id, user_id) | {"expires_at": number(int(expires_at.timestamp()))}
    table.transact(
        table.build_condition_check(keys.project(entry.project_id), condition=ACTIVE),
        table.build_put(marker, condition="attribute_not_exists(PK)"),
        build_entry(entry),
    )


def delete_batch(project: Project) -> bool:
    """Delete up to 500 entries or markers of a deleted project.

    Returns:
        Whether there were any.
    """
    months = _months(now() + CLOCK_SKEW, project.created_at - CLOCK_SKEW)
    partitions = [keys.downloads_partition(project.id)]
    partitions += [keys.activity_partition(project.id, month) for month in months]
    for partition in partitions:
        items: list[Item] = table.query_page(partition, begins_with="", limit=_BATCH_SIZE).items
        if items:
            table.delete_items([{name: item[name] for name in ("PK", "SK")} for item in items])
            return True
    return False
