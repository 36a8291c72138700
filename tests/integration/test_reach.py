"""Cost of every route in DynamoDB calls and capacity units, with 10, 1,000 and 10,000 projects, members and events.

Both numbers are exact on DynamoDB Local. docs/reach.md contains them, and `make reach` updates it.
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
from projects_api.domain.resource_versions import Change, resource_from_event
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
from tests.support.api_client import Response
from tests.support.in_process_app import InProcessApp
from tests.support.uploads import describe

SIZES = (10, 1_000, 10_000)
DOCUMENT = Path(__file__).parents[2] / "docs" / "reach.md"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Cost:
    """The cost of a function.

    Attributes:
        calls: The operations that it called on DynamoDB.
        consumed: The capacity units of each call, per table.
    """

    calls: list[str] = field(default_factory=list)
    consumed: list[float] = field(default_factory=list)

    @property
    def units(self) -> float:
        return sum(self.consumed)


class Meter:
    """Measures the cost of functions."""

    def __init__(self, app: InProcessApp) -> None:
        self._costs: dict[str, Cost] = defaultdict(Cost)
        self._function = ""
        self._app = app
        self._events = clients.dynamodb().meta.events
        self._events.register("before-parameter-build.dynamodb", self._request_capacity)
        self._events.register("after-call.dynamodb", self._record_call)

    def stop(self) -> None:
        self._events.unregister("before-parameter-build.dynamodb", self._request_capacity)
        self._events.unregister("after-call.dynamodb", self._record_call)

    def measure(self, function: str, action: Callable[[], Any]) -> Cost:
        """Run an action, and return the cost of one function during it."""
        handler = self._app.handlers[function]

        def handle_metered(event: Any, context: Any) -> Any:
            self._function = function
            try:
                return handler(event, context)
            finally:
                self._function = ""

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(self._app.handlers, function, handle_metered)
            action()
        return self._costs.pop(function)

    @staticmethod
    def _request_capacity(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def _record_call(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        cost = self._costs[self._function]
        cost.calls.append(model.name)
        consumed = parsed.get("ConsumedCapacity", [])
        cost.consumed += [entry["CapacityUnits"] for entry in (consumed if isinstance(consumed, list) else [consumed])]


class LargeAccount:
    """A user with `size` projects. The last project has `size` members and `size` resources."""

    def __init__(self, app: InProcessApp, size: int) -> None:
        self.app = app
        self.size = size
        self.owner, self.other = app.create_user("owner"), app.create_user("other")
        owner = Member(UserId(self.owner.user_id), Email(self.owner.email), "Owner", Role.OWNER, EPOCH)
        projects = [self._project(owner, number) for number in range(size)]
        last = projects[-1]
        self.project_id = last.id
        self.url = f"/api/projects/{last.id}"
        members = [
            Member(
                UserId(new_id()), Email(f"member-{number:06}@example.com"), "Member", Role.EDITOR, _build_time(number)
            )
            for number in range(size - 1)
        ]
        items = [project_to_item(project) for project in projects]
        items += [member_to_item(project.id, owner) for project in projects]
        items += [membership_to_item(project, owner) for project in projects]
        for member in members:
            user = User(member.user_id, member.email, member.name, EPOCH)
            items += [user_to_item(user), member_to_item(last.id, member), membership_to_item(last, member)]
        items += [resource_to_item(last.id, _build_resource(number)) for number in range(size)]
        _write_items(app.stack.table, items)
        table.update_item(
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
            created_at=_build_time(number),
            updated_at=_build_time(number),
            counts={ResourceType.DATASET: self.size} if last else {},
            member_count=self.size if last else 1,
        )

    def get(self, path: str, **headers: str) -> Response:
        return self.owner.get(path, **headers)

    def record(self) -> None:
        """Record an event of a new dataset."""
        detail = {"project_id": self.project_id, "occurred_at": "2026-02-11T09:00:00Z"}
        resource = {"id": new_id(), "name": "new.csv"}
        event = {"detail-type": "Dataset Created", "detail": detail | {"resource": resource}}
        assert self.app.deliver([event]) == []


def _build_time(number: int) -> datetime:
    return EPOCH + timedelta(minutes=number)


def _build_resource(number: int) -> Resource:
    return resource_from_event(
        id=ResourceId(new_id()),
        type=ResourceType.DATASET,
        change=Change.CREATED,
        name=f"data-{number:06}.csv",
        occurred_at=_build_time(number),
        fields={"rows": 50_000, "columns": 15},
        artifact=None,
    )


def _write_items(name: str, items: list[Item]) -> None:
    """Write items in batches of 25, four batches in parallel."""
    client = boto3.client("dynamodb")

    def put(batch: list[Item]) -> None:
        unprocessed: Any = {name: [{"PutRequest": {"Item": item}} for item in batch]}
        while unprocessed:
            unprocessed = client.batch_write_item(RequestItems=unprocessed)["UnprocessedItems"]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put, (items[start : start + 25] for start in range(0, len(items), 25))))


#: The measured actions, in this order: the label in the document, the function and the action.
ACTIONS: list[tuple[str, str, Callable[[LargeAccount], Any]]] = [
    ("every request: the authorizer", "Authorize", lambda account: account.get(account.url)),
    ("`GET …/projects`", "ListProjects", lambda account: account.get("/api/projects")),
    (
        "… the last 10",
        "ListProjects",
        lambda account: account.get(f"/api/projects?limit=10&offset={account.size - 10}"),
    ),
    ("… `sort_field=name`", "ListProjects", lambda account: account.get("/api/projects?sort_field=name")),
    ("… `search=9`", "ListProjects", lambda account: account.get("/api/projects?search=9")),
    ("`POST …/projects`", "CreateProject", lambda account: account.other.post("/api/projects", {"name": "New"})),
    ("`GET …/{id}`", "GetProject", lambda account: account.get(account.url)),
    ("`PUT …/{id}`", "UpdateProject", lambda account: account.owner.put(account.url, {"name": "Other"})),
    ("`GET …/members`", "ListMembers", lambda account: account.get(f"{account.url}/members")),
    (
        "… the last 10",
        "ListMembers",
        lambda account: account.get(f"{account.url}/members?limit=10&offset={account.size - 10}"),
    ),
    (
        "`POST …/members`, added",
        "AddMember",
        lambda account: account.owner.post(f"{account.url}/members", {"email": account.other.email}),
    ),
    (
        "… another role",
        "AddMember",
        lambda account: account.owner.post(f"{account.url}/members", {"email": account.other.email, "role": "viewer"}),
    ),
    (
        "`DELETE …/members/{id}`",
        "RemoveMember",
        lambda account: account.owner.delete(f"{account.url}/members/{account.other.user_id}"),
    ),
    ("`GET …/timeline`, 500 events", "GetTimeline", lambda account: account.get(f"{account.url}/timeline")),
    ("… the newest 50", "GetTimeline", lambda account: account.get(f"{account.url}/timeline?limit=50&order=desc")),
    ("… 50 of a type", "GetTimeline", lambda account: account.get(f"{account.url}/timeline?limit=50&type=dataset")),
    ("`GET …/resources`, 500 resources", "ListResources", lambda account: account.get(f"{account.url}/resources")),
    (
        "`POST …/resources` without a file",
        "CreateResource",
        lambda account: account.owner.post(f"{account.url}/resources", {"type": "model", "name": "m"}),
    ),
    (
        "… with a file",
        "CreateResource",
        lambda account: account.owner.post(f"{account.url}/resources", describe("m.bin", b"m")),
    ),
    ("an event of a new resource", "RecordResource", lambda account: account.record()),
    ("`POST …/exports`, started", "StartExport", lambda account: account.owner.post(f"{account.url}/exports")),
    ("… joined", "StartExport", lambda account: account.owner.post(f"{account.url}/exports")),
    (
        "`GET …/export` as JSON",
        "GetArchive",
        lambda account: account.get(f"{account.url}/export", Accept="application/json"),
    ),
    ("`GET …/exports`", "ListExports", lambda account: account.get(f"{account.url}/exports")),
    ("`GET …/exports/{id}`", "GetExport", lambda account: account.get(f"{account.url}/exports/{new_id()}")),
    (
        "`POST …/imports` of an archive",
        "StartImport",
        lambda account: account.owner.post("/api/imports", {"size_bytes": 2}),
    ),
    ("`GET …/imports/{id}`", "GetImport", lambda account: account.get(f"/api/imports/{new_id()}")),
    ("`DELETE …/{id}`", "DeleteProject", lambda account: account.owner.delete(account.url)),
]

#: The maximum number of calls of each function, given the number of members.
BUDGETS: dict[str, Callable[[int], int]] = defaultdict(
    lambda: lambda _: 2,
    Authorize=lambda _: 3,  # the key; its user; and once a day for each key, the date of its last use
    GetProject=lambda _: 1,
    CreateProject=lambda _: 2,  # the second call deletes the announcement that the bus has accepted
    UpdateProject=lambda _: 3,
    CreateResource=lambda _: 3,
    GetExport=lambda _: 1,
    GetImport=lambda _: 1,
    StartImport=lambda _: 1,
    StartExport=lambda _: 3,
    GetArchive=lambda _: 3,
    AddMember=lambda _: 3,
    DeleteProject=lambda size: 4 + 2 * (min(size, MAX_MEMBERS_REMOVED) // MEMBERS_PER_TRANSACTION),
)


@pytest.fixture(scope="module")
def costs(app: InProcessApp) -> Iterator[dict[int, list[Cost]]]:
    """Measure the cost of each action, per size."""
    meter = Meter(app)
    costs = {}
    for size in SIZES:
        account = LargeAccount(app, size)
        costs[size] = [meter.measure(function, partial(action, account)) for _, function, action in ACTIONS]
    yield costs
    meter.stop()


def _format_cost(cost: Cost) -> str:
    return f"{len(cost.calls)} calls, {cost.units:g} units" if len(cost.calls) > 1 else f"1 call, {cost.units:g} units"


def _format_table(costs: dict[int, list[Cost]]) -> str:
    headings = ["", *(f"{size:,}" for size in SIZES)]
    rows = [
        [label, *(_format_cost(costs[size][number]) for size in SIZES)] for number, (label, _, _) in enumerate(ACTIONS)
    ]
    lines = [headings, ["---", *("---:" for _ in SIZES)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def test_document_is_up_to_date(costs: dict[int, list[Cost]], pytestconfig: pytest.Config) -> None:
    before, start, rest = DOCUMENT.read_text().partition("<!-- measured -->\n")
    _, end, after = rest.partition("\n<!-- until here -->")
    updated = before + start + _format_table(costs) + end + after
    if pytestconfig.getoption("write_reach"):
        DOCUMENT.write_text(updated)
    assert DOCUMENT.read_text() == updated


def test_call_budgets(costs: dict[int, list[Cost]]) -> None:
    for size in SIZES:
        for (label, function, _), cost in zip(ACTIONS, costs[size], strict=True):
            if "sort_field" in label or "search" in label:
                batches = cost.calls.count("BatchGetItem")
                assert batches == ceil(size / 100), label
                assert len(cost.calls) - batches <= ceil(size / 7_000), label  # a page of keys is at most 1 MiB
            elif "last" in label:
                assert len(cost.calls) <= 1 + ceil(size / 3_300), label
            else:
                assert len(cost.calls) <= BUDGETS[function](size), (label, size, cost)


def test_cost_is_independent_of_size(costs: dict[int, list[Cost]]) -> None:
    """Only searches, sorted lists, last pages and deletions cost more in a larger account."""
    for number, (label, _, _) in enumerate(ACTIONS):
        if any(text in label for text in ("last", "sort_field", "search", "DELETE …/{id}")):
            continue
        assert _format_cost(costs[1_000][number]) == _format_cost(costs[10_000][number]), label
