"""Pending work: what the jobs have yet to do, as the sparse index ``pending_work`` lists it.

The index is global, so its reads are eventually consistent.
"""

import heapq
from collections.abc import Iterator
from datetime import datetime

from projects_api.entities.clock import sortable
from projects_api.entities.ids import AnnouncementId, ExportId, ImportId, ProjectId, UploadId, UserId
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.keys import Item, WorkKind


def find_due_projects(*, by: datetime) -> Iterator[ProjectId]:
    """Yield the projects that changed since their last scheduled export, or whose last one failed or was cancelled."""
    return map(_project_id, _query_pending_work("DUE", by))


def find_stalled_purges(*, by: datetime) -> Iterator[ProjectId]:
    """Yield the deleted projects whose purge counts as stalled at the time ``by``."""
    return map(_project_id, _query_pending_work("PURGE", by))


def find_stalled_exports(*, by: datetime) -> Iterator[tuple[ProjectId, ExportId]]:
    """Yield the unfinished exports whose message counts as lost, or whose lease has expired, at the time ``by``."""
    items = _query_pending_work("EXPORT", by)
    return ((_project_id(item), ExportId(keys.last_key_part(item, "SK"))) for item in items)


def find_overdue_announcements(*, by: datetime) -> Iterator[AnnouncementId]:
    """Yield the announcements that nobody has sent by the time ``by``, although they are due."""
    return (AnnouncementId(keys.last_key_part(item, "PK")) for item in _query_pending_work("ANNOUNCEMENT", by))


def find_due_uploads(*, by: datetime) -> Iterator[tuple[UserId, UploadId]]:
    """Yield the unfinished uploads that have expired by the time ``by``, or whose completion was interrupted."""
    items = _query_pending_work("UPLOAD", by)
    return ((UserId(keys.last_key_part(item, "PK")), UploadId(keys.last_key_part(item, "SK"))) for item in items)


def find_unreferenced_files(*, by: datetime) -> Iterator[tuple[ProjectId, str]]:
    """Yield the uploaded files that no resource names by the time ``by``: the project and the digest of the file."""
    return ((_project_id(item), keys.last_key_part(item, "SK")) for item in _query_pending_work("FILE", by))


def find_stalled_imports(*, by: datetime) -> Iterator[ImportId]:
    """Yield the unfinished imports whose message counts as lost, or whose lease has expired, at the time ``by``."""
    return (ImportId(keys.last_key_part(item, "PK")) for item in _query_pending_work("IMPORT", by))


def find_retired_archives(*, by: datetime) -> Iterator[tuple[ProjectId, ExportId]]:
    """Yield the exports whose archive is to be removed at the time ``by``."""
    items = _query_pending_work("RETIRED", by)
    return ((_project_id(item), ExportId(keys.last_key_part(item, "SK"))) for item in items)


def _query_pending_work(kind: WorkKind, by: datetime) -> Iterator[Item]:
    """Yield the items of all shards, the longest due first."""
    shards = (
        table.query_pending_work(keys.pending_work_shard(kind, shard), until=sortable(by))
        for shard in range(keys.PENDING_WORK_SHARDS)
    )
    return heapq.merge(*shards, key=lambda item: item["due_at"]["S"])


def _project_id(item: Item) -> ProjectId:
    return ProjectId(keys.last_key_part(item, "PK"))
