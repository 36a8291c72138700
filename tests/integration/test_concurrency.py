"""Many at once, really at once: what was answered is what is so afterwards."""

import random
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from projects_api.domain import members, projects, purge, resources, users
from projects_api.domain.exports import export_requests
from projects_api.domain.resources import Change, resource_from_event
from projects_api.entities.errors import ProjectsError, StorageUnavailableError
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.project import Caller, Role
from projects_api.entities.resource import ResourceType
from tests.support.api_model import CHANGES, TYPES, Event, Project
from tests.support.in_process_app import InProcessApp

THREADS, STEPS, PROJECTS = 12, 50, 3
IDS = [str(uuid.UUID(int=number)) for number in range(4)]
DAY = (2026, 2, 10, 9, 0)


class Crowd:
    """Some people, projects that they share, and what they were answered."""

    def __init__(self) -> None:
        self.people = [users.register(f"{uuid.uuid4()}@example.com", str(number)) for number in range(5)]
        self.callers = [Caller(user.id, user.email, user.name) for user in self.people]
        self.owners: dict[ProjectId, Caller] = {}
        for number in range(PROJECTS):
            owner = self.callers[number]
            self.owners[self.create(owner, None)] = owner
        self.lock = threading.Lock()
        self.memberships: Counter[tuple[ProjectId, str]] = Counter()
        self.unsure: set[tuple[ProjectId, str]] = set()
        self.deletions: Counter[ProjectId] = Counter()
        self.given_names: dict[ProjectId, set[str]] = {project_id: {"n"} for project_id in self.owners}
        self.announced: dict[ProjectId, set[Event]] = {project_id: set() for project_id in self.owners}
        self.created: dict[tuple[str, str], set[ProjectId]] = {}
        self.given_up = 0

    @staticmethod
    def create(owner: Caller, key: str | None) -> ProjectId:
        return projects.create(owner, name="n", description="", idempotency_key=key).id

    def act(self, seed: int) -> None:
        """What one of them does, one thing after the other, by chance."""
        chance = random.Random(seed)
        acts = [self.add, self.add, self.remove, self.leave, self.rename, self.announce, self.announce, self.announce,
                self.create_again, self.export]  # fmt: skip
        for step in range(STEPS):
            project_id = chance.choice(list(self.owners))
            act = self.delete if step > STEPS // 2 and chance.random() < 0.02 else chance.choice(acts)
            try:
                act(chance, project_id)
            except StorageUnavailableError:
                with self.lock:
                    self.given_up += 1
            except ProjectsError:
                pass

    def membership(self, project_id: ProjectId, user_id: str, change: Any, difference: int) -> None:
        try:
            counts = change()
        except StorageUnavailableError:
            self.unsure.add((project_id, user_id))
            raise
        with self.lock:
            self.memberships[project_id, user_id] += difference if counts else 0

    def add(self, chance: random.Random, project_id: ProjectId) -> None:
        user, role = chance.choice(self.people), chance.choice([Role.VIEWER, Role.EDITOR, Role.ADMIN])
        owner = self.owners[project_id].user_id
        self.membership(project_id, user.id, lambda: members.add(owner, project_id, email=user.email, role=role)[1], 1)

    def remove(self, chance: random.Random, project_id: ProjectId, by: str | None = None) -> None:
        user, owner = chance.choice(self.people), self.owners[project_id].user_id
        remover = user.id if by else owner

        def removed() -> bool:
            members.remove(remover, project_id, user.id)
            return True

        self.membership(project_id, user.id, removed, -1)

    def leave(self, chance: random.Random, project_id: ProjectId) -> None:
        self.remove(chance, project_id, by="themselves")

    def rename(self, chance: random.Random, project_id: ProjectId) -> None:
        name = str(chance.random())
        self.given_names[project_id].add(name)
        projects.update(chance.choice(self.people).id, project_id, name=name, description=None)

    def announce(self, chance: random.Random, project_id: ProjectId) -> None:
        events = [
            Event(chance.choice(TYPES), chance.choice(IDS), chance.choice(CHANGES), chance.randrange(30))
            for _ in range(chance.choice([1, 1, 5]))
        ]
        seen = [
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
        for _ in range(chance.choice([1, 1, 2])):
            delivered = False
            while not delivered:  # as the queue does
                with suppress(StorageUnavailableError):
                    resources.record(project_id, seen)
                    delivered = True
        with self.lock:
            self.announced[project_id].update(events)

    def create_again(self, chance: random.Random, _: ProjectId) -> None:
        owner, key = chance.choice(self.callers), chance.choice("ab")
        made = self.create(owner, key)
        with self.lock:
            self.created.setdefault((owner.user_id, key), set()).add(made)

    def export(self, chance: random.Random, project_id: ProjectId) -> None:
        export_requests.start(chance.choice(self.people).id, project_id)

    def delete(self, _: random.Random, project_id: ProjectId) -> None:
        projects.delete(self.owners[project_id].user_id, project_id)
        with self.lock:
            self.deletions[project_id] += 1

    def timeline_of(self, project_id: ProjectId) -> list[tuple[str, str, str]]:
        """What the events say when each is heard once, in any order."""
        model = Project(project_id, "", "", "", "", "", {})
        for event in self.announced[project_id]:
            model.record(event)
        return [(one.type, one.id, one.name) for one in model.resources()]


@pytest.mark.parametrize("seed", range(3))
def test_what_a_crowd_was_answered_is_what_is_so_afterwards(app: InProcessApp, seed: int) -> None:
    crowd = Crowd()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(crowd.act, range(seed * THREADS, (seed + 1) * THREADS)))
    assert app.broken_invariants() == []
    assert crowd.given_up <= THREADS * STEPS // 50
    assert all(len(made) == 1 for made in crowd.created.values()), "an Idempotency-Key made two projects"
    assert all(count == 1 for count in crowd.deletions.values()), "a project was deleted twice"
    for project_id, owner in crowd.owners.items():
        if project_id in crowd.deletions:
            purge.purge_project(project_id, should_continue=lambda: True)
            assert app.items(project_id) == []
            continue
        project = projects.get(owner.user_id, project_id).project
        assert project.name in crowd.given_names[project_id]
        there = {one.user_id for one in members.list_page(owner.user_id, project_id, limit=100, offset=0).members}
        for user in crowd.people:
            if user.id != owner.user_id and (project_id, user.id) not in crowd.unsure:
                assert crowd.memberships[project_id, user.id] == (user.id in there)
        shown = resources.timeline(
            owner.user_id, project_id, type_=None, cursor=None, limit=1000, descending=False
        ).resources  # fmt: skip
        assert [(one.type, one.id, one.name) for one in shown] == crowd.timeline_of(project_id)
    app.process_queues()
    app.dead_letters()
    assert app.broken_invariants() == []
