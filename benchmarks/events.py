"""Throughput of recording events of one project: one event in a transaction, and a batch of ten.

`make benchmark-events` runs both sizes twice on DynamoDB Local, with as many workers as ``RecordResource`` has in
template.yaml, and prints the number of transaction conflicts. Usage: ``python -m benchmarks.events [EVENTS]``.
"""

import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import batched
from unittest import mock

from benchmarks.machine import describe_machine
from local.engines import engines
from projects_api.domain import projects, resources, users
from projects_api.domain.resource_versions import Change, resource_from_event
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.project import Caller
from projects_api.entities.resource import Resource, ResourceType
from tests.support.in_process_app import start_in_process_app

WORKERS = 10
EVENT_COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
BATCH_SIZES = (1, 10)


def create_event() -> Resource:
    """Return the event of a new model."""
    return resource_from_event(
        id=ResourceId(str(uuid.uuid4())),
        type=ResourceType.MODEL,
        change=Change.CREATED,
        name="model.bin",
        occurred_at=datetime.now(UTC),
        fields={"accuracy": 0.93},
        artifact=None,
    )


@contextmanager
def collect_pauses() -> Iterator[list[float]]:
    """Collect the pauses in seconds that transactions make before a retry, one for each conflict."""
    pauses: list[float] = []
    sleep = time.sleep

    def sleep_and_collect(seconds: float) -> None:
        pauses.append(seconds)
        sleep(seconds)

    with mock.patch("time.sleep", sleep_and_collect):
        yield pauses


def measure(project_id: ProjectId, batch_size: int) -> tuple[float, int, int]:
    """Record all events and return the events per second, the conflicts and the batches to deliver again."""
    redelivered = 0

    def record(batch: tuple[Resource, ...]) -> None:
        nonlocal redelivered
        while True:
            try:
                resources.record(project_id, batch)
            except StorageUnavailableError:
                redelivered += 1
            else:
                return

    batches = list(batched([create_event() for _ in range(EVENT_COUNT)], batch_size, strict=False))
    with collect_pauses() as pauses, ThreadPoolExecutor(WORKERS) as pool:
        started = time.monotonic()
        list(pool.map(record, batches))
        return EVENT_COUNT / (time.monotonic() - started), len(pauses), redelivered


def main() -> None:
    """Measure each batch size twice, in turn, and print the results."""
    with engines() as running_engines, start_in_process_app(running_engines.environment):
        user = users.register("owner@example.com", "Owner")
        owner = Caller(user.id, user.email, user.name)
        print(describe_machine())
        for batch_size in BATCH_SIZES * 2:
            project_id = projects.create(owner, name="Busy", description="", idempotency_key=None).id
            rate, conflicts, redelivered = measure(project_id, batch_size)
            recorded = projects.get(owner.user_id, project_id).project.counts[ResourceType.MODEL]
            print(
                f"{batch_size:>3} per transaction: {rate:6.0f} events/s, {conflicts} conflicts,"
                f" {redelivered} batches delivered again"
            )
            assert recorded == EVENT_COUNT


if __name__ == "__main__":
    main()
