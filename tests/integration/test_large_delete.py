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
from projects_api.domain.resources import Change, resource_from_event
from projects_api.entities.errors import ProjectNotFoundError, StorageUnavailableError
from projects_api.entities.ids import ProjectId, ResourceId, UserId
from projects_api.entities.project import Role
from projects_api.entities.resource import Artifact, Resource, ResourceType
from projects_api.storage import clients
from projects_api.storage.dynamodb.item_mapping import count_attribute, resource_to_item
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import DeathError, die, throttle

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
    return resource_from_event(
        id=ResourceId(str(uuid.uuid4())),
        type=ResourceType.MODEL,
        change=Change.CREATED,
        name=f"model {number}",
        occurred_at=START + timedelta(minutes=number),
        fields={},
        artifact=Artifact(key, "application/octet-stream") if number < OBJECTS else None,
    )


def grow(app: InProcessApp, owner: Client, project_id: ProjectId) -> None:
    """Gives a project its resources at once, which takes years otherwise, and members and objects one by one."""
    table = boto3.resource("dynamodb").Table(app.stack.table)
    with table.batch_writer() as batch:
        for number in range(RESOURCES):
            item = resource_to_item(project_id, resource(project_id, number))
            batch.put_item(Item={name: value["S"] for name, value in item.items()})
    table.update_item(
        Key={"PK": f"PROJECT#{project_id}", "SK": "PROJECT"},
        UpdateExpression=f"SET {count_attribute(ResourceType.MODEL)} = :all",
        ExpressionAttributeValues={":all": RESOURCES},
    )
    for number in range(MEMBERS):
        person = users.register(f"{number}-{uuid.uuid4()}@example.com", "n")
        members.add(UserId(owner.user_id), project_id, email=person.email, role=Role.VIEWER)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: app.store(project_id, f"models/{n % OBJECTS}.bin", b"x"), range(OBJECTS * VERSIONS)))


def test_a_hundred_and_fifty_members_lose_the_project_with_the_answer(app: InProcessApp, alice: Client) -> None:
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
    assert app.broken_invariants() == []
    app.process_queues()


@pytest.mark.parametrize("seed", [2026])
def test_a_large_project_is_gone_to_the_last_item_in_spite_of_throttles_and_deaths(
    app: InProcessApp, alice: Client, seed: int
) -> None:
    kept = alice.create("Kept")
    app.store(kept, "models/0.bin", b"x")
    project_id = ProjectId(alice.create("Large"))
    grow(app, alice, project_id)
    assert app.broken_invariants() == []
    assert len(app.items(project_id)) == 1 + RESOURCES + 2 * (MEMBERS + 1)
    assert len(app.objects(project_id)) == OBJECTS * VERSIONS

    assert alice.delete(f"/api/projects/{project_id}").status == 200
    assert app.broken_invariants() == []
    done, runs = False, 0
    with bad_weather(seed) as failed:
        while not done:
            runs += 1
            assert runs < 200, failed
            with suppress(DeathError):
                done = app.deliver([{"project_id": project_id}], "PurgeProject") == []
            with suppress(DeathError), pytest.raises((ProjectNotFoundError, StorageUnavailableError)):
                resources.record(project_id, [resource(project_id, RESOURCES)])
    assert len(failed) > 10
    assert app.items(project_id) == []
    assert app.objects(project_id) == []
    assert len(app.objects(kept)) == 1
    assert app.broken_invariants() == []
    assert [one["id"] for one in alice.get("/api/projects")["items"]] == [kept]
