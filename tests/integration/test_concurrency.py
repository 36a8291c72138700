"""Concurrent callers: the final state matches the results that the callers got."""

import random
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from projects_api.domain import members, projects, purge, resources, timeline, users
from projects_api.domain.exports import export_requests
from projects_api.domain.resource_versions import Change, resource_from_event
from projects_api.entities.errors import ProjectsError, StorageUnavailableError
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.project import Caller, Role
from projects_api.entities.resource import ResourceType
from tests.support.api_model import CHANGES, TYPES, Event, Project
from tests.support.in_process_app import InProcessApp

THREADS, STEPS, PROJECTS = 12, 50, 3
IDS = [str(uuid.UUID(int=number)) for number in range(4)]
DAY = (2026, 2, 10, 9, 0)


class Crowd:
    """Users who change shared projects concurrently, and the results of their calls.

    Attributes:
        people: The users.
        callers: The same users as callers of the domain.
        owners: The owner of each project.
        memberships: The additions minus the removals, per project and user: 1 for a member, 0 for anyone else.
        uncertain: Projects and users whose change raised an error, so that the count may be wrong.
        deletions: The number of successful deletions per project.
        requested_names: The names that a project may have.
        events: The recorded events of each project.
        created: The projects created with an Idempotency-Key, per owner and key.
        unavailable_count: The number of calls that raised `StorageUnavailableError`.
    """

    def __init__(self) -> None:
        self.people = [users.register(f"{uuid.uuid4()}@example.com", str(number)) for number in range(5)]
        self.callers = [Caller(user.id, user.email, user.name) for user in self.people]
        self.owners: dict[ProjectId, Caller] = {}
        for number in range(PROJECTS):
            owner = self.callers[number]
            self.owners[self.create(owner, None)] = owner
        self.lock = threading.Lock()
        self.memberships: Counter[tuple[ProjectId, str]] = Counter()
        self.uncertain: set[tuple[ProjectId, str]] = set()
        self.deletions: Counter[ProjectId] = Counter()
        self.requested_names: dict[ProjectId, set[str]] = {project_id: {"n"} for project_id in self.owners}
        self.events: dict[ProjectId, set[Event]] = {project_id: set() for project_id in self.owners}
        self.created: dict[tuple[str, str], set[ProjectId]] = {}
        self.unavailable_count = 0

    @staticmethod
    def create(owner: Caller, key: str | None) -> ProjectId:
        request = IdempotentRequest(owner.user_id, "POST /api/projects", key, {"name": "n"}) if key else None
        return projects.create(owner, name="n", description="", request=request).id

    def run(self, seed: int) -> None:
        """Make random calls, one after another."""
        generator = random.Random(seed)
        actions = [self.add, self.add, self.remove, self.leave, self.rename, self.record, self.record, self.record,
                   self.create_again, self.export]  # fmt: skip
        for step in range(STEPS):
            project_id = generator.choice(list(self.owners))
            action = self.delete if step > STEPS // 2 and generator.random() < 0.02 else generator.choice(actions)
            try:
                action(generator, project_id)
            except StorageUnavailableError:
                with self.lock:
                    self.unavailable_count += 1
            except ProjectsError:
                pass

    def change_membership(self, project_id: ProjectId, user_id: str, change: Any, difference: int) -> None:
        try:
            is_changed = change()
        except StorageUnavailableError:
            self.uncertain.add((project_id, user_id))
            raise
        with self.lock:
            self.memberships[project_id, user_id] += difference if is_changed else 0

    def add(self, generator: random.Random, project_id: ProjectId) -> None:
        user, role = generator.choice(self.people), generator.choice([Role.VIEWER, Role.EDITOR, Role.ADMIN])
        owner = self.owners[project_id].user_id
        self.change_membership(
            project_id, user.id, lambda: members.add(owner, project_id, email=user.email, role=role)[1], 1
        )

    def remove(self, generator: random.Random, project_id: ProjectId, *, by_themselves: bool = False) -> None:
        user, owner = generator.choice(self.people), self.owners[project_id].user_id
        remover = user.id if by_themselves else owner

        def remove() -> bool:
            members.remove(remover, project_id, user.id)
            return True

        self.change_membership(project_id, user.id, remove, -1)

    def leave(self, generator: random.Random, project_id: ProjectId) -> None:
        self.remove(generator, project_id, by_themselves=True)

    def rename(self, generator: random.Random, project_id: ProjectId) -> None:
        name = str(generator.random())
        self.requested_names[project_id].add(name)
        projects.update(generator.choice(self.people).id, project_id, name=name, description=None)

    def record(self, generator: random.Random, project_id: ProjectId) -> None:
        events = [
            Event(generator.choice(TYPES), generator.choice(IDS), generator.choice(CHANGES), generator.randrange(30))
            for _ in range(generator.choice([1, 1, 5]))
        ]
        versions = [
            resource_from_event(
                id=ResourceId(event.id),
                type=ResourceType(event.type),
                change=Change[event.change.upper()],
                name=event.name,
                occurred_at=datetime(*DAY, event.second, tzinfo=UTC),
                fields={},
                artifact=None,
            )
            for event in events
        ]
        for _ in range(generator.choice([1, 1, 2])):
            is_delivered = False
            while not is_delivered:  # the queue delivers a failed message again
                with suppress(StorageUnavailableError):
                    resources.record(project_id, versions)
                    is_delivered = True
        with self.lock:
            self.events[project_id].update(events)

    def create_again(self, generator: random.Random, _: ProjectId) -> None:
        owner, key = generator.choice(self.callers), generator.choice("ab")
        project_id = self.create(owner, key)
        with self.lock:
            self.created.setdefault((owner.user_id, key), set()).add(project_id)

    def export(self, generator: random.Random, project_id: ProjectId) -> None:
        export_requests.start(generator.choice(self.people).id, project_id)

    def delete(self, _: random.Random, project_id: ProjectId) -> None:
        projects.delete(self.owners[project_id].user_id, project_id)
        with self.lock:
            self.deletions[project_id] += 1

    def expected_timeline(self, project_id: ProjectId) -> list[tuple[str, str, str]]:
        """Return the type, id and name of each resource after the recorded events."""
        model = Project(project_id, "", "", "", "", "", {})
        for event in self.events[project_id]:
            model.record(event)
        return [(resource.type, resource.id, resource.name) for resource in model.resources()]


@pytest.mark.parametrize("seed", range(3))
def test_concurrent_callers(app: InProcessApp, seed: int) -> None:
    crowd = Crowd()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(crowd.run, range(seed * THREADS, (seed + 1) * THREADS)))
    assert app.find_broken_invariants() == []
    assert crowd.unavailable_count <= THREADS * STEPS // 50
    assert all(len(project_ids) == 1 for project_ids in crowd.created.values()), (
        "An Idempotency-Key created two projects."
    )
    assert all(count == 1 for count in crowd.deletions.values()), "A project was deleted twice."
    for project_id, owner in crowd.owners.items():
        if project_id in crowd.deletions:
            purge.purge_project(project_id, should_continue=lambda: True)
            assert app.find_items(project_id) == []
            continue
        project = projects.get(owner.user_id, project_id).project
        assert project.name in crowd.requested_names[project_id]
        member_ids = {
            member.user_id for member in members.list_page(owner.user_id, project_id, limit=100, offset=0).members
        }
        for user in crowd.people:
            if user.id != owner.user_id and (project_id, user.id) not in crowd.uncertain:
                assert crowd.memberships[project_id, user.id] == (user.id in member_ids)
        listed = timeline.list_by_time(
            owner.user_id, project_id, type_=None, cursor=None, limit=1000, descending=False, list_name="timeline"
        ).resources  # fmt: skip
        assert [(resource.type, resource.id, resource.name) for resource in listed] == crowd.expected_timeline(
            project_id
        )
    app.process_queues()
    app.take_dead_letters()
    assert app.find_broken_invariants() == []
