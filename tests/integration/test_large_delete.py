"""A project that has grown for years is deleted to the last item and object, whatever fails on the way."""

import random
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from projects_api.domain import members, projects, resources, users
from projects_api.domain.projects import SortField
from projects_api.domain.resources import Change, observed
from projects_api.model.entities import Artifact, Resource, ResourceType, Role
from projects_api.model.errors import ProjectNotFoundError, StorageUnavailableError
from projects_api.model.ids import ProjectId, ResourceId, UserId
from projects_api.storage import clients
from projects_api.storage.items import count_of, resource_to_item
from tests.clients import Client
from tests.interruptions import DeathError, die, throttle
from tests.world import World

RESOURCES, MEMBERS, OBJECTS, VERSIONS = 10_000, 150, 2_000, 2
START = datetime(2020, 2, 10, 9, tzinfo=UTC)


@contextmanager
def bad_weather(seed: int) -> Iterator[list[str]]:
    """By chance, every twentieth call of AWS is throttled, and at every fiftieth the process dies. Gives these."""
    chance, failed = random.Random(seed), list[str]()

    def on_call(model: Any, **_: Any) -> None:
        drawn = chance.random()
        if drawn < 0.07:
            failed.append(model.name)
            (die if drawn < 0.02 else throttle)()

    used = [clients.dynamodb(), clients.s3(), clients.sqs()]
    for client in used:
        client.meta.events.register_first("before-call.*.*", on_call)
    try:
        yield failed
    finally:
        for client in used:
            client.meta.events.unregister("before-call.*.*", on_call)


def resource(project_id: ProjectId, number: int) -> Resource:
    key = f"projects/{project_id}/models/{number}.bin"
    return observed(
        id=ResourceId(str(uuid.uuid4())),
        type=ResourceType.MODEL,
        change=Change.CREATED,
        name=f"model {number}",
        occurred_at=START + timedelta(minutes=number),
        fields={},
        artifact=Artifact(key, "application/octet-stream") if number < OBJECTS else None,
    )


def grow(world: World, owner: Client, project_id: ProjectId) -> None:
    """Gives a project its resources at once, which takes years otherwise, and members and objects one by one."""
    table = boto3.resource("dynamodb").Table(world.stack.table)
    with table.batch_writer() as batch:
        for number in range(RESOURCES):
            item = resource_to_item(project_id, resource(project_id, number))
            batch.put_item(Item={name: value["S"] for name, value in item.items()})
    table.update_item(
        Key={"PK": f"PROJECT#{project_id}", "SK": "PROJECT"},
        UpdateExpression=f"SET {count_of(ResourceType.MODEL)} = :all",
        ExpressionAttributeValues={":all": RESOURCES},
    )
    for number in range(MEMBERS):
        person = users.register(f"{number}-{uuid.uuid4()}@example.com", "n")
        members.add(UserId(owner.user_id), project_id, email=person.email, role=Role.VIEWER)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: world.store(project_id, f"models/{n % OBJECTS}.bin", b"x"), range(OBJECTS * VERSIONS)))


def test_a_hundred_and_fifty_members_lose_the_project_with_the_answer(world: World, alice: Client) -> None:
    project_id = alice.create()
    people = [users.register(f"{uuid.uuid4()}@example.com", "n") for _ in range(150)]
    for person in people:
        members.add(UserId(alice.user_id), ProjectId(project_id), email=person.email, role=Role.VIEWER)
    assert alice.delete(f"/api/projects/{project_id}").status == 200
    for person in people:
        listed = projects.list_page(
            person.id, limit=1, offset=0, search="", sort_field=SortField.CREATED_AT, descending=True
        )
        assert (listed.memberships, listed.total) == ([], 0)
    assert world.broken_invariants() == []
    world.work_off()


@pytest.mark.parametrize("seed", [2026])
def test_a_large_project_is_gone_to_the_last_item_in_spite_of_throttles_and_deaths(
    world: World, alice: Client, seed: int
) -> None:
    kept = alice.create("Kept")
    world.store(kept, "models/0.bin", b"x")
    project_id = ProjectId(alice.create("Large"))
    grow(world, alice, project_id)
    assert world.broken_invariants() == []
    assert len(world.items(project_id)) == 1 + RESOURCES + 2 * (MEMBERS + 1)
    assert len(world.objects(project_id)) == OBJECTS * VERSIONS

    assert alice.delete(f"/api/projects/{project_id}").status == 200
    assert world.broken_invariants() == []
    done, runs = False, 0
    with bad_weather(seed) as failed:
        while not done:
            runs += 1
            assert runs < 200, failed
            with suppress(DeathError):
                done = world.deliver([{"project_id": project_id}], "PurgeProject") == []
            with suppress(DeathError), pytest.raises((ProjectNotFoundError, StorageUnavailableError)):
                resources.record(project_id, [resource(project_id, RESOURCES)])
    assert len(failed) > 10
    assert world.items(project_id) == []
    assert world.objects(project_id) == []
    assert len(world.objects(kept)) == 1
    assert world.broken_invariants() == []
    assert [one["id"] for one in alice.get("/api/projects")["items"]] == [kept]
