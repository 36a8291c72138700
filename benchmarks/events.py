"""How many events of one busy project are recorded in a second: one in a transaction, and as many as a batch holds.

`make benchmark-events` runs both in turn on DynamoDB Local, with as many workers as the template has, and
prints how often a transaction met another.
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

from benchmarks.machine import machine
from local.engines import engines
from projects_api.domain import projects, resources, users
from projects_api.domain.resources import Change, resource_from_event
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.project import Caller
from projects_api.entities.resource import Resource, ResourceType
from tests.support.in_process_app import in_process_app

WORKERS = 10
EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
BATCHES = (1, 10)


def event() -> Resource:
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
def conflicts() -> Iterator[list[float]]:
    """Every pause that a transaction made since another was in its way."""
    pauses: list[float] = []
    sleep = time.sleep

    def slept(seconds: float) -> None:
        pauses.append(seconds)
        sleep(seconds)

    with mock.patch("time.sleep", slept):
        yield pauses


def recorded(project_id: ProjectId, batch: int) -> tuple[float, int, int]:
    """Events a second, conflicts, and batches that the queue would have to deliver again."""
    again = 0

    def record(some: tuple[Resource, ...]) -> None:
        nonlocal again
        while True:
            try:
                resources.record(project_id, some)
            except StorageUnavailableError:
                again += 1
            else:
                return

    batches = list(batched([event() for _ in range(EVENTS)], batch, strict=False))
    with conflicts() as met, ThreadPoolExecutor(WORKERS) as pool:
        began = time.monotonic()
        list(pool.map(record, batches))
        return EVENTS / (time.monotonic() - began), len(met), again


def main() -> None:
    with engines() as serving, in_process_app(serving.environment):
        user = users.register("owner@example.com", "Owner")
        owner = Caller(user.id, user.email, user.name)
        print(machine())
        for batch in BATCHES * 2:
            project_id = projects.create(owner, name="Busy", description="", idempotency_key=None).id
            rate, met, again = recorded(project_id, batch)
            counted = projects.get(owner.user_id, project_id).project.counts[ResourceType.MODEL]
            print(f"{batch:>3} a transaction: {rate:6.0f} events/s, {met} conflicts, {again} delivered again")
            assert counted == EVENTS


if __name__ == "__main__":
    main()
