"""What jobs have yet to do, as the sparse index ``work`` lists it. That is global, and so not consistent."""

from collections.abc import Iterator
from datetime import datetime

from projects_api.entities.clock import sortable
from projects_api.entities.ids import ExportId, ProjectId
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.keys import Item, WorkKind


def due(*, by: datetime) -> Iterator[ProjectId]:
    """The projects that changed since their last scheduled export."""
    return map(_project_id, _work("DUE", by))


def purges(*, by: datetime) -> Iterator[ProjectId]:
    """The deleted projects whose purge counts as stalled by then."""
    return map(_project_id, _work("PURGE", by))


def exports(*, by: datetime) -> Iterator[tuple[ProjectId, ExportId]]:
    """The unfinished exports whose message counts as lost by then, or whose worker as dead."""
    return ((_project_id(item), ExportId(keys.last_key_part(item, "SK"))) for item in _work("EXPORT", by))


def _work(kind: WorkKind, by: datetime) -> Iterator[Item]:
    for shard in range(keys.PENDING_WORK_SHARDS):
        yield from table.query_pending_work(keys.pending_work_shard(kind, shard), until=sortable(by))


def _project_id(item: Item) -> ProjectId:
    return ProjectId(keys.last_key_part(item, "PK"))
