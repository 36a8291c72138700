"""Two at once: whatever one does in the midst of the other, it ends as if they had come one after the other.

Here the domain is asked, without HTTP, and each of its calls of AWS is once the moment at which the other acts.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from projects_api.domain import members, projects, purge, resources, users
from projects_api.domain.exports import export_requests
from projects_api.domain.resources import Change, resource_from_event
from projects_api.entities.errors import ProjectNotFoundError, ProjectsError
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.project import Caller, Role
from projects_api.entities.resource import ResourceType
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupted
from tests.support.invariants import broken_invariants


@dataclass
class Scene:
    """A project of Alice's in which Bob is an editor, and which has a dataset; Carol is registered."""

    app: InProcessApp
    people: dict[str, Caller]
    project_ids: list[ProjectId] = field(default_factory=list)
    key: str = ""

    @property
    def project_id(self) -> ProjectId:
        return self.project_ids[0]

    def set_up(self) -> None:
        self.key = str(uuid.uuid4())
        self.project_ids = []
        self.create("Before", "")
        self.add("bob", Role.EDITOR)
        self.record(Change.CREATED, 10)

    def create(self, name: str, key: str) -> None:
        made = projects.create(self.people["alice"], name=name, description="", idempotency_key=key or None)
        self.project_ids.append(made.id)

    def add(self, nick: str, role: Role) -> None:
        members.add(self.people["alice"].user_id, self.project_id, email=self.people[nick].email, role=role)

    def remove(self, who: str, whom: str) -> None:
        members.remove(self.people[who].user_id, self.project_id, self.people[whom].user_id)

    def record(self, change: Change, second: int, type_: ResourceType = ResourceType.DATASET) -> None:
        event = resource_from_event(
            id=ResourceId("r"),
            type=type_,
            change=change,
            name=f"{change.name} {second}",
            occurred_at=datetime(2026, 2, 10, 9, 0, second, tzinfo=UTC),
            fields={},
            artifact=None,
        )
        resources.record(self.project_id, [event])

    def stored(self) -> dict[str, dict[str, Any]]:
        """What the table holds, with names in place of ids, and without times and revisions."""
        items = self.app.items("")
        assert broken_invariants(items) == []
        names: dict[str, str] = {person.user_id: nick for nick, person in self.people.items()}
        names |= {id_: f"project {number}" for number, id_ in enumerate(dict.fromkeys(self.project_ids))}
        found = {}
        for item in items:
            kept = (
                "name",
                "description",
                "role",
                "status",
                "deleted",
                "member_count",
                "project_count",
                "dataset_count",
                "model_count",
            )
            key = f"{item['PK']['S']} {item['SK']['S'].split('#')[0]} {item['SK']['S'].rpartition('#')[2]}"
            for id_, name in names.items():
                key = key.replace(id_, name)
            if "EXPORT" in key or "IDEMPOTENCY" in key:
                key = key.rpartition(" ")[0]
            found[key] = {name: next(iter(item[name].values())) for name in kept if name in item}
        return found

    def tear_down(self) -> None:
        """Leaves nobody with a project."""
        for project_id in set(self.project_ids):
            with suppress(ProjectNotFoundError):
                projects.delete(self.people["alice"].user_id, project_id)
            purge.purge_project(project_id, should_continue=lambda: True)


OPERATIONS: dict[str, Callable[[Scene], object]] = {
    "rename": lambda scene: projects.update(
        scene.people["bob"].user_id, scene.project_id, name="After", description=None
    ),
    "describe": lambda scene: projects.update(
        scene.people["alice"].user_id, scene.project_id, name="Described", description="In words"
    ),
    "delete": lambda scene: projects.delete(scene.people["alice"].user_id, scene.project_id),
    "create": lambda scene: scene.create("New", scene.key),
    "add carol": lambda scene: scene.add("carol", Role.VIEWER),
    "change bob": lambda scene: scene.add("bob", Role.ADMIN),
    "remove bob": lambda scene: scene.remove("alice", "bob"),
    "bob leaves": lambda scene: scene.remove("bob", "bob"),
    "record a model": lambda scene: scene.record(Change.CREATED, 20, ResourceType.MODEL),
    "update the dataset": lambda scene: scene.record(Change.UPDATED, 20),
    "update it earlier": lambda scene: scene.record(Change.UPDATED, 15),
    "delete the dataset": lambda scene: scene.record(Change.DELETED, 15),
    "export": lambda scene: export_requests.start(scene.people["bob"].user_id, scene.project_id),
}

#: How each of the two ended, and what was stored then.
type Outcome = tuple[str, str, dict[str, Any]]


def outcome_of(scene: Scene, operation: str) -> str:
    try:
        OPERATIONS[operation](scene)
    except ProjectsError as error:
        return type(error).__name__
    return "done"


@pytest.fixture(scope="module")
def scene(app: InProcessApp) -> Iterator[Scene]:
    made = Scene(app, {})
    for nick in ("alice", "bob", "carol"):
        user = users.register(f"{nick}-{uuid.uuid4()}@example.com", nick)
        made.people[nick] = Caller(user.id, user.email, user.name)
    yield made
    app.process_queues()


def one_after_the_other(scene: Scene, first: str, second: str) -> Outcome:
    scene.set_up()
    outcome = outcome_of(scene, first), outcome_of(scene, second), scene.stored()
    scene.tear_down()
    return outcome


def in_the_midst(scene: Scene, first: str, second: str, number: int) -> Outcome | None:
    """What comes of it when ``second`` is done right before call ``number`` of ``first``, if there is such a call."""
    scene.set_up()
    between: list[str] = []
    with interrupted(number, lambda: between.append(outcome_of(scene, second))):
        ended = outcome_of(scene, first)
    outcome = (ended, between[0], scene.stored()) if between else None
    scene.tear_down()
    return outcome


#: Where two want different things of the same item.
MET = [
    ("rename", "delete"),
    ("rename", "describe"),
    ("add carol", "add carol"),
    ("add carol", "delete"),
    ("change bob", "remove bob"),
    ("remove bob", "bob leaves"),
    ("create", "create"),
    ("record a model", "delete"),
    ("record a model", "record a model"),
    ("update the dataset", "delete the dataset"),
    ("update the dataset", "update it earlier"),
    ("export", "delete"),
    ("export", "export"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On real engines, which are quicker at this, every operation meets every other."""
    if {"first", "second"} <= set(metafunc.fixturenames):
        real = metafunc.config.getoption("engines") == "real"
        pairs = [(one, other) for one in OPERATIONS for other in OPERATIONS] if real else MET
        metafunc.parametrize(("first", "second"), pairs, ids=[" meets ".join(pair) for pair in pairs])


def test_two_at_once_end_as_one_after_the_other(scene: Scene, first: str, second: str) -> None:
    turned = one_after_the_other(scene, second, first)
    possible = [one_after_the_other(scene, first, second), (turned[1], turned[0], turned[2])]
    for number in count(1):
        outcome = in_the_midst(scene, first, second, number)
        if outcome is None:
            break
        assert outcome in possible, f"{second}, right before call {number} of {first}"
