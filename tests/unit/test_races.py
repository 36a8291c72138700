"""Races between two operations: the result is the same as if they ran one after the other.

The tests call the domain, without HTTP. The second operation runs before each call of the first to AWS in turn.
"""

import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from projects_api.domain import members, ownership, projects, resources, users
from projects_api.domain.exports import export_requests
from projects_api.domain.resources import Change, resource_from_event
from projects_api.entities.errors import ProjectsError
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.project import Caller, Role
from projects_api.entities.resource import ResourceType
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupt_call
from tests.support.invariants import find_broken_invariants

#: The attributes that two states are compared by.
COMPARED_ATTRIBUTES = (
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


@dataclass
class Scene:
    """A project that Alice owns and Bob edits, with a dataset. Carol is no member.

    Attributes:
        app: The in-process app.
        people: The callers, by their nicks.
        project_ids: The created projects, the one described above first.
        items: The items of the table before any operation.
    """

    app: InProcessApp
    people: dict[str, Caller]
    project_ids: list[ProjectId] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)

    @property
    def project_id(self) -> ProjectId:
        return self.project_ids[0]

    def set_up(self) -> None:
        self.create("Before", "")
        self.add("bob", Role.EDITOR)
        self.record(Change.CREATED, 10)
        self.items = self.app.find_items("")

    def restore(self) -> None:
        """Restore the items of the table, which takes fewer calls than to delete the projects and set up new ones."""
        del self.project_ids[1:]
        current = self.app.find_items("")
        kept = {(item["PK"]["S"], item["SK"]["S"]) for item in self.items}
        writes = [{"PutRequest": {"Item": item}} for item in self.items if item not in current]
        writes += [
            {"DeleteRequest": {"Key": {"PK": item["PK"], "SK": item["SK"]}}}
            for item in current
            if (item["PK"]["S"], item["SK"]["S"]) not in kept
        ]
        for batch in itertools.batched(writes, 25, strict=False):
            self.app.dynamodb.batch_write_item(RequestItems={self.app.stack.table: list(batch)})

    def create(self, name: str, key: str) -> None:
        owner = self.people["alice"].user_id
        request = IdempotentRequest(owner, "POST /api/projects", key, {"name": name}) if key else None
        project = projects.create(self.people["alice"], name=name, description="", request=request)
        self.project_ids.append(project.id)

    def add(self, nick: str, role: Role) -> None:
        members.add(self.people["alice"].user_id, self.project_id, email=self.people[nick].email, role=role)

    def remove(self, caller: str, member: str) -> None:
        members.remove(self.people[caller].user_id, self.project_id, self.people[member].user_id)

    def transfer(self, nick: str) -> None:
        ownership.transfer(self.people["alice"].user_id, self.project_id, email=self.people[nick].email)

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

    def read_state(self) -> dict[str, dict[str, Any]]:
        """Return the items of the table, with names instead of ids, and without times and revisions."""
        items = self.app.find_items("")
        assert find_broken_invariants(items) == []
        names: dict[str, str] = {person.user_id: nick for nick, person in self.people.items()}
        names |= {id_: f"project {number}" for number, id_ in enumerate(dict.fromkeys(self.project_ids))}
        state: dict[str, dict[str, Any]] = {}
        for item in items:
            if item["PK"]["S"].startswith("ACTIVITY"):
                entry = " ".join(item[name]["S"] for name in ("action", "actor", "before", "after") if name in item)
                for id_, name in names.items():
                    entry = entry.replace(id_, name)
                entries = state.setdefault("activity", {})
                entries[entry] = entries.get(entry, 0) + 1
                continue
            key = f"{item['PK']['S']} {item['SK']['S'].split('#')[0]} {item['SK']['S'].rpartition('#')[2]}"
            for id_, name in names.items():
                key = key.replace(id_, name)
            if "EXPORT" in key or "IDEMPOTENCY" in key:
                key = key.rpartition(" ")[0]
            state[key] = {name: next(iter(item[name].values())) for name in COMPARED_ATTRIBUTES if name in item}
        return state


OPERATIONS: dict[str, Callable[[Scene], object]] = {
    "rename": lambda scene: projects.update(
        scene.people["bob"].user_id, scene.project_id, name="After", description=None
    ),
    "describe": lambda scene: projects.update(
        scene.people["alice"].user_id, scene.project_id, name="Described", description="In words"
    ),
    "delete": lambda scene: projects.delete(scene.people["alice"].user_id, scene.project_id),
    "create": lambda scene: scene.create("New", "k"),
    "add carol": lambda scene: scene.add("carol", Role.VIEWER),
    "change bob": lambda scene: scene.add("bob", Role.ADMIN),
    "remove bob": lambda scene: scene.remove("alice", "bob"),
    "transfer to bob": lambda scene: scene.transfer("bob"),
    "transfer to carol": lambda scene: ownership.transfer_by_operator(
        scene.project_id, email=scene.people["carol"].email
    ),
    "bob leaves": lambda scene: scene.remove("bob", "bob"),
    "record a model": lambda scene: scene.record(Change.CREATED, 20, ResourceType.MODEL),
    "update the dataset": lambda scene: scene.record(Change.UPDATED, 20),
    "update it earlier": lambda scene: scene.record(Change.UPDATED, 15),
    "delete the dataset": lambda scene: scene.record(Change.DELETED, 15),
    "export": lambda scene: export_requests.start(scene.people["bob"].user_id, scene.project_id),
}

#: The outcome of each of the two operations, and the items of the table afterwards.
type Outcome = tuple[str, str, dict[str, Any]]


def run_operation(scene: Scene, operation: str) -> str:
    try:
        OPERATIONS[operation](scene)
    except ProjectsError as error:
        return type(error).__name__
    return "done"


@pytest.fixture(scope="module")
def scene(app: InProcessApp) -> Iterator[Scene]:
    scene = Scene(app, {})
    for nick in ("alice", "bob", "carol"):
        user = users.register(f"{nick}-{uuid.uuid4()}@example.com", nick)
        scene.people[nick] = Caller(user.id, user.email, user.name)
    scene.set_up()
    yield scene
    for source in app.stack.event_sources:
        app.sqs.purge_queue(QueueUrl=source.queue_url)


def run_sequentially(scene: Scene, first: str, second: str) -> Outcome:
    scene.restore()
    return run_operation(scene, first), run_operation(scene, second), scene.read_state()


def run_interrupted(scene: Scene, first: str, second: str, number: int) -> Outcome | None:
    """Run `second` right before call `number` of `first`. Return None if `first` makes fewer calls."""
    scene.restore()
    second_outcomes: list[str] = []
    with interrupt_call(number, lambda: second_outcomes.append(run_operation(scene, second))):
        first_outcome = run_operation(scene, first)
    return (first_outcome, second_outcomes[0], scene.read_state()) if second_outcomes else None


#: Pairs of operations that write the same item.
CONFLICTING_PAIRS = [
    ("rename", "delete"),
    ("rename", "describe"),
    ("add carol", "add carol"),
    ("add carol", "delete"),
    ("change bob", "remove bob"),
    ("remove bob", "bob leaves"),
    ("transfer to bob", "remove bob"),
    ("transfer to bob", "bob leaves"),
    ("bob leaves", "transfer to bob"),
    ("transfer to bob", "change bob"),
    ("transfer to bob", "delete"),
    ("transfer to bob", "transfer to bob"),
    ("transfer to bob", "transfer to carol"),
    ("remove bob", "transfer to bob"),
    ("add carol", "transfer to carol"),
    ("delete", "transfer to bob"),
    ("transfer to carol", "add carol"),
    ("transfer to carol", "delete"),
    ("create", "create"),
    ("record a model", "delete"),
    ("record a model", "record a model"),
    ("update the dataset", "delete the dataset"),
    ("update the dataset", "update it earlier"),
    ("export", "delete"),
    ("export", "export"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On real engines, which are faster at this, test every pair of operations."""
    if {"first", "second"} <= set(metafunc.fixturenames):
        real = metafunc.config.getoption("engines") == "real"
        pairs = list(itertools.product(OPERATIONS, repeat=2)) if real else CONFLICTING_PAIRS
        metafunc.parametrize(("first", "second"), pairs, ids=[" meets ".join(pair) for pair in pairs])


def test_interrupted_operation(scene: Scene, first: str, second: str) -> None:
    """Both operations end as if one of them had run before the other."""
    reversed_outcome = run_sequentially(scene, second, first)
    possible = [run_sequentially(scene, first, second), (reversed_outcome[1], reversed_outcome[0], reversed_outcome[2])]
    for number in itertools.count(1):
        outcome = run_interrupted(scene, first, second, number)
        if outcome is None:
            break
        assert outcome in possible, f"{second}, before call {number} of {first}"
