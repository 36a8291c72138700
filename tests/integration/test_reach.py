"""Reach: what every route costs, in calls to DynamoDB and in capacity units, at 10, 1,000 and 10,000 of everything.

Both are exact on DynamoDB Local, and ``docs/reach.md`` holds them. ``make reach`` writes it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import boto3
import pytest

from projects_api.domain.projects import MAX_MEMBERS_REMOVED
from projects_api.domain.resources import Change, resource_from_event
from projects_api.entities.ids import ProjectId, ResourceId, UserId, new_id
from projects_api.entities.project import Member, Project, Role
from projects_api.entities.resource import Resource, ResourceType
from projects_api.entities.user import Email, User
from projects_api.storage import clients
from projects_api.storage.dynamodb import keys, table
from projects_api.storage.dynamodb.item_mapping import (
    member_to_item,
    membership_to_item,
    project_to_item,
    resource_to_item,
    user_to_item,
)
from projects_api.storage.dynamodb.keys import Item
from projects_api.storage.dynamodb.member_store import MEMBERS_PER_TRANSACTION
from tests.support.api_client import Answer
from tests.support.in_process_app import InProcessApp

SIZES = (10, 1_000, 10_000)
DOCUMENT = Path(__file__).parents[2] / "docs" / "reach.md"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Cost:
    """What a function asked of DynamoDB, and the capacity units that this consumed."""

    calls: list[str] = field(default_factory=list)
    consumed: list[float] = field(default_factory=list)

    @property
    def units(self) -> float:
        return sum(self.consumed)


class Meter:
    """Takes down the cost of each function."""

    def __init__(self, app: InProcessApp) -> None:
        self._costs: dict[str, Cost] = defaultdict(Cost)
        self._function = ""
        self._world = app
        self._events = clients.dynamodb().meta.events
        self._events.register("before-parameter-build.dynamodb", self._ask)
        self._events.register("after-call.dynamodb", self._take_down)

    def end(self) -> None:
        self._events.unregister("before-parameter-build.dynamodb", self._ask)
        self._events.unregister("after-call.dynamodb", self._take_down)

    def of(self, function: str, act: Callable[[], Any]) -> Cost:
        """What ``function`` costs while ``act`` is done."""
        handler = self._world.handlers[function]

        def metered(event: Any, context: Any) -> Any:
            self._function = function
            try:
                return handler(event, context)
            finally:
                self._function = ""

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(self._world.handlers, function, metered)
            act()
        return self._costs.pop(function)

    @staticmethod
    def _ask(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def _take_down(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        cost = self._costs[self._function]
        cost.calls.append(model.name)
        consumed = parsed.get("ConsumedCapacity", [])
        cost.consumed += [one["CapacityUnits"] for one in (consumed if isinstance(consumed, list) else [consumed])]


class Crowd:
    """A user with so many projects, the last of which has so many members and events."""

    def __init__(self, app: InProcessApp, size: int) -> None:
        self.app = app
        self.size = size
        self.owner, self.other = app.user("owner"), app.user("other")
        owner = Member(UserId(self.owner.user_id), Email(self.owner.email), "Owner", Role.OWNER, EPOCH)
        projects = [self._project(owner, number) for number in range(size)]
        last = projects[-1]
        self.project_id = last.id
        self.url = f"/api/projects/{last.id}"
        members = [
            Member(UserId(new_id()), Email(f"member-{number:06}@example.com"), "Member", Role.EDITOR, _at(number))
            for number in range(size - 1)
        ]
        items = [project_to_item(project) for project in projects]
        items += [member_to_item(project.id, owner) for project in projects]
        items += [membership_to_item(project, owner) for project in projects]
        for member in members:
            user = User(member.user_id, member.email, member.name, EPOCH)
            items += [user_to_item(user), member_to_item(last.id, member), membership_to_item(last, member)]
        items += [resource_to_item(last.id, _resource(number)) for number in range(size)]
        _store(app.stack.table, items)
        table.update_one(
            keys.user(owner.user_id),
            "SET project_count = :size",
            condition="attribute_exists(PK)",
            values={":size": keys.number(size)},
        )

    def _project(self, owner: Member, number: int) -> Project:
        last = number == self.size - 1
        return Project(
            id=ProjectId(new_id()),
            name=f"Project {number:06}",
            description="What it is for. " * 20,
            owner_id=owner.user_id,
            created_at=_at(number),
            updated_at=_at(number),
            counts={ResourceType.DATASET: self.size} if last else {},
            member_count=self.size if last else 1,
        )

    def get(self, path: str, **headers: str) -> Answer:
        return self.owner.get(path, **headers)

    def record(self) -> None:
        """Has an event recorded that says of a new dataset."""
        detail = {"project_id": self.project_id, "occurred_at": "2026-02-11T09:00:00Z"}
        resource = {"id": new_id(), "name": "new.csv"}
        event = {"detail-type": "Dataset Created", "detail": detail | {"resource": resource}}
        assert self.app.deliver([event]) == []


def _at(number: int) -> datetime:
    return EPOCH + timedelta(minutes=number)


def _resource(number: int) -> Resource:
    return resource_from_event(
        id=ResourceId(new_id()),
        type=ResourceType.DATASET,
        change=Change.CREATED,
        name=f"data-{number:06}.csv",
        occurred_at=_at(number),
        fields={"rows": 50_000, "columns": 15},
        artifact=None,
    )


def _store(name: str, items: list[Item]) -> None:
    """Puts items as they are, 25 at a time and 4 batches at once."""
    client = boto3.client("dynamodb")

    def put(batch: list[Item]) -> None:
        wanted: Any = {name: [{"PutRequest": {"Item": item}} for item in batch]}
        while wanted:
            wanted = client.batch_write_item(RequestItems=wanted)["UnprocessedItems"]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, (items[start : start + 25] for start in range(0, len(items), 25))))


#: What is measured, in this order: what it is called, its function, and how it is done in a crowd.
ASKED: list[tuple[str, str, Callable[[Crowd], Any]]] = [
    ("any of them: the authorizer", "Authorize", lambda c: c.get(c.url)),
    ("`GET …/projects`", "ListProjects", lambda c: c.get("/api/projects")),
    ("… the last 10", "ListProjects", lambda c: c.get(f"/api/projects?limit=10&offset={c.size - 10}")),
    ("… `sort_field=name`", "ListProjects", lambda c: c.get("/api/projects?sort_field=name")),
    ("… `search=9`", "ListProjects", lambda c: c.get("/api/projects?search=9")),
    ("`POST …/projects`", "CreateProject", lambda c: c.other.post("/api/projects", {"name": "New"})),
    ("`GET …/{id}`", "GetProject", lambda c: c.get(c.url)),
    ("`PUT …/{id}`", "UpdateProject", lambda c: c.owner.put(c.url, {"name": "Other"})),
    ("`GET …/members`", "ListMembers", lambda c: c.get(f"{c.url}/members")),
    ("… the last 10", "ListMembers", lambda c: c.get(f"{c.url}/members?limit=10&offset={c.size - 10}")),
    ("`POST …/members`, added", "AddMember", lambda c: c.owner.post(f"{c.url}/members", {"email": c.other.email})),
    (
        "… another role",
        "AddMember",
        lambda c: c.owner.post(f"{c.url}/members", {"email": c.other.email, "role": "viewer"}),
    ),
    ("`DELETE …/members/{id}`", "RemoveMember", lambda c: c.owner.delete(f"{c.url}/members/{c.other.user_id}")),
    ("`GET …/timeline`, 500 events", "GetTimeline", lambda c: c.get(f"{c.url}/timeline")),
    ("… the newest 50", "GetTimeline", lambda c: c.get(f"{c.url}/timeline?limit=50&order=desc")),
    ("… 50 of a type", "GetTimeline", lambda c: c.get(f"{c.url}/timeline?limit=50&type=dataset")),
    ("an event of a new resource", "RecordResource", lambda c: c.record()),
    ("`POST …/exports`, started", "StartExport", lambda c: c.owner.post(f"{c.url}/exports")),
    ("… joined", "StartExport", lambda c: c.owner.post(f"{c.url}/exports")),
    ("`GET …/export` as JSON", "GetArchive", lambda c: c.get(f"{c.url}/export", Accept="application/json")),
    ("`GET …/exports`", "ListExports", lambda c: c.get(f"{c.url}/exports")),
    ("`GET …/exports/{id}`", "GetExport", lambda c: c.get(f"{c.url}/exports/{new_id()}")),
    ("`DELETE …/{id}`", "DeleteProject", lambda c: c.owner.delete(c.url)),
]

#: How many calls each may take at most, by the budgets that the design set; N is how many members there are.
BUDGETS: dict[str, Callable[[int], int]] = defaultdict(
    lambda: lambda _: 2,
    Authorize=lambda _: 1,
    GetProject=lambda _: 1,
    CreateProject=lambda _: 1,
    GetExport=lambda _: 1,
    AddMember=lambda _: 3,
    DeleteProject=lambda size: 3 + 2 * (min(size, MAX_MEMBERS_REMOVED) // MEMBERS_PER_TRANSACTION),
)


@pytest.fixture(scope="module")
def costs(app: InProcessApp) -> Iterator[dict[int, list[Cost]]]:
    """Per size, the cost of each that is asked."""
    meter = Meter(app)
    measured = {}
    for size in SIZES:
        crowd = Crowd(app, size)
        measured[size] = [meter.of(function, partial(act, crowd)) for _, function, act in ASKED]
    yield measured
    meter.end()


def _cell(cost: Cost) -> str:
    return f"{len(cost.calls)} calls, {cost.units:g} units" if len(cost.calls) > 1 else f"1 call, {cost.units:g} units"


def _table(costs: dict[int, list[Cost]]) -> str:
    heads = ["", *(f"{size:,}" for size in SIZES)]
    rows = [[name, *(_cell(costs[size][number]) for size in SIZES)] for number, (name, _, _) in enumerate(ASKED)]
    lines = [heads, ["---", *("---:" for _ in SIZES)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def test_the_document_says_what_is_measured(costs: dict[int, list[Cost]], pytestconfig: pytest.Config) -> None:
    before, start, rest = DOCUMENT.read_text().partition("<!-- measured -->\n")
    _, end, after = rest.partition("\n<!-- until here -->")
    written = before + start + _table(costs) + end + after
    if pytestconfig.getoption("write_reach"):
        DOCUMENT.write_text(written)
    assert DOCUMENT.read_text() == written


def test_the_budgets_of_calls_are_kept_at_every_size(costs: dict[int, list[Cost]]) -> None:
    for size in SIZES:
        for (name, function, _), cost in zip(ASKED, costs[size], strict=True):
            if "sort_field" in name or "search" in name:
                batches = cost.calls.count("BatchGetItem")
                assert batches == ceil(size / 100), name
                assert len(cost.calls) - batches <= ceil(size / 7_000), name  # a page of keys is at most 1 MiB
            elif "last" in name:
                assert len(cost.calls) <= 1 + ceil(size / 3_300), name
            else:
                assert len(cost.calls) <= BUDGETS[function](size), (name, size, cost)


def test_what_is_not_a_search_nor_far_down_costs_the_same_at_any_size(costs: dict[int, list[Cost]]) -> None:
    for number, (name, _, _) in enumerate(ASKED):
        if "last" in name or "sort_field" in name or "search" in name or "DELETE …/{id}" in name:
            continue
        assert _cell(costs[1_000][number]) == _cell(costs[10_000][number]), name
