"""The deletion and purge of a large project, in which calls to AWS fail and processes crash."""

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
from projects_api.domain.resource_versions import Change, resource_from_event
from projects_api.entities.errors import ProjectNotFoundError, StorageUnavailableError
from projects_api.entities.ids import ProjectId, ResourceId, UserId
from projects_api.entities.project import Role
from projects_api.entities.resource import Artifact, Resource, ResourceType
from projects_api.storage import clients
from projects_api.storage.dynamodb.item_mapping import count_attribute, resource_to_item
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import CrashError, crash, throttle

RESOURCES, MEMBERS, OBJECTS, VERSIONS = 10_000, 150, 600, 2
START = datetime(2020, 2, 10, 9, tzinfo=UTC)


@contextmanager
def inject_random_faults(seed: int) -> Iterator[list[str]]:
    """Throttle 5 % of the calls to AWS at random, and crash at 2 %. Yield the operations of these calls."""
    generator, failed = random.Random(seed), list[str]()

    def on_call(model: Any, **_: Any) -> None:
        number = generator.random()
        if number < 0.07:
            failed.append(model.name)
            (crash if number < 0.02 else throttle)()

    aws_clients = [clients.dynamodb(), clients.s3(), clients.sqs()]
    for client in aws_clients:
        client.meta.events.register_first("before-call.*.*", on_call)
    try:
        yield failed
    finally:
        for client in aws_clients:
            client.meta.events.unregister("before-call.*.*", on_call)


def build_resource(project_id: ProjectId, number: int) -> Resource:
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


def fill_project(app: InProcessApp, owner: Client, project_id: ProjectId) -> None:
    """Write resources directly into the table, and add members and objects through the domain and S3."""
    table = boto3.resource("dynamodb").Table(app.stack.table)
    with table.batch_writer() as batch:
        for number in range(RESOURCES):
            item = resource_to_item(project_id, build_resource(project_id, number))
            batch.put_item(Item={name: value["S"] for name, value in item.items()})
    table.update_item(
        Key={"PK": f"PROJECT#{project_id}", "SK": "PROJECT"},
        UpdateExpression=f"SET {count_attribute(ResourceType.MODEL)} = :all",
        ExpressionAttributeValues={":all": RESOURCES},
    )
    for number in range(MEMBERS):
        person = users.register(f"{number}-{uuid.uuid4()}@example.com", "n")
        members.add(UserId(owner.user_id), project_id, email=person.email, role=Role.VIEWER)

    def store_object(number: int) -> None:
        app.store_artifact(project_id, f"models/{number % OBJECTS}.bin", b"x")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store_object, range(OBJECTS * VERSIONS)))


def test_members_lose_project_immediately(app: InProcessApp, alice: Client) -> None:
    """When the response to the deletion arrives, none of 150 members has the project in their list."""
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
    assert app.find_broken_invariants() == []
    app.process_queues()


@pytest.mark.parametrize("seed", [2026])
def test_purge_of_large_project(app: InProcessApp, alice: Client, seed: int) -> None:
    """Every item and object is deleted despite throttling and crashes, and nothing of another project."""
    kept_id = alice.create("Kept")
    app.store_artifact(kept_id, "models/0.bin", b"x")
    project_id = ProjectId(alice.create("Large"))
    fill_project(app, alice, project_id)
    assert app.find_broken_invariants() == []
    memberships = activity_entries = MEMBERS + 1
    assert len(app.find_items(project_id)) == 1 + RESOURCES + 2 * memberships + activity_entries
    assert len(app.find_objects(project_id)) == OBJECTS * VERSIONS

    assert alice.delete(f"/api/projects/{project_id}").status == 200
    assert app.find_broken_invariants() == []
    is_done, runs = False, 0
    with inject_random_faults(seed) as failed:
        while not is_done:
            runs += 1
            assert runs < 200, failed
            with suppress(CrashError):
                is_done = app.deliver([{"project_id": project_id}], "PurgeProject") == []
            with suppress(CrashError), pytest.raises((ProjectNotFoundError, StorageUnavailableError)):
                resources.record(project_id, [build_resource(project_id, RESOURCES)])
    assert len(failed) > 10
    assert app.find_items(project_id) == []
    assert app.find_objects(project_id) == []
    assert len(app.find_objects(kept_id)) == 1
    assert app.find_broken_invariants() == []
    assert [project["id"] for project in alice.get("/api/projects")["items"]] == [kept_id]
