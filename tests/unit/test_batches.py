"""Batches of events: recorded together, and each as if it had come alone."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import resource_events
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projects_api.storage import clients, queues, resources
from projects_api.storage.items import resource_to_item
from tests.clients import Client
from tests.interruptions import interrupted
from tests.model import CHANGES, Event, Project
from tests.world import World

AT = "2026-02-12T08:00:00Z"

#: A message's body: an event, or whatever else is in the queue.
type Body = dict[str, Any]


def announced(project_id: str, **resource: Any) -> dict[str, Any]:
    """An event that says of a new model."""
    whole = {"id": str(uuid.uuid4()), "name": "m"} | resource
    return {
        "source": "mlplatform.tests",
        "detail-type": "Model Created",
        "detail": {"project_id": project_id, "occurred_at": AT, "resource": whole},
    }


def models(client: Client, project_id: str) -> int:
    return int(client.get(f"/api/projects/{project_id}")["project"]["model_count"])


def names(client: Client, project_id: str) -> list[str]:
    return sorted(event["name"] for event in client.get(f"/api/projects/{project_id}/timeline")["events"])


@contextmanager
def broken_writes(error: Callable[[], ClientError], *, of: str) -> Iterator[None]:
    """Has every transaction fail that writes anything of a project, or of a resource."""

    def on_call(params: dict[str, Any], **_: Any) -> None:
        if of in json.dumps(params["TransactItems"]):
            raise error()

    register = clients.dynamodb().meta.events
    register.register_first("before-parameter-build.dynamodb.TransactWriteItems", on_call)
    try:
        yield
    finally:
        register.unregister("before-parameter-build.dynamodb.TransactWriteItems", on_call)


def refusal(code: str, message: str) -> ClientError:
    reasons: Any = [{"Code": "None"}, {"Code": code, "Message": message}]
    return ClientError(
        {"Error": {"Code": "TransactionCanceledException", "Message": ""}, "CancellationReasons": reasons},
        "TransactWriteItems",
    )


def test_what_can_not_be_recorded_is_put_aside_and_the_rest_of_the_batch_is_recorded(
    world: World, alice: Client
) -> None:
    project_id, other = alice.create(), alice.create()
    nobodys = announced(str(uuid.uuid4()))
    malformed = announced(project_id, id="no-uuid")
    elsewhere = announced(project_id, artifact={"key": f"projects/{other}/f"})
    good = [announced(project_id, name=f"good {number}") for number in range(4)]
    batch = [good[0], malformed, nobodys, good[1], announced(other), elsewhere, good[2], {"no": "event"}, good[3]]
    assert world.deliver(batch) == []
    assert names(alice, project_id) == ["good 0", "good 1", "good 2", "good 3"]
    assert (models(alice, project_id), models(alice, other)) == (4, 1)
    reasons = {json.dumps(body): why for body, why in world.dead_letters()}
    assert reasons.keys() == {json.dumps(body) for body in (malformed, nobodys, elsewhere, {"no": "event"})}
    assert "resource.id" in reasons[json.dumps(malformed)]
    assert "no such project" in reasons[json.dumps(nobodys)]
    assert "artifact.key" in reasons[json.dumps(elsewhere)]
    assert "detail-type" in reasons[json.dumps({"no": "event"})]


def test_only_what_fails_for_now_is_delivered_again(world: World, alice: Client) -> None:
    busy, calm, alone = alice.create(), alice.create(), alice.create()
    late = [announced(busy), announced(busy)]
    batch = [announced(calm), late[0], {"no": "event"}, announced(alone), late[1], announced(calm)]

    def throttled() -> ClientError:
        return ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "TransactWriteItems")

    with broken_writes(throttled, of=busy):
        assert world.deliver(batch) == late
    assert [models(alice, one) for one in (busy, calm, alone)] == [0, 2, 1]
    assert len(world.dead_letters()) == 1
    assert world.deliver(late) == []
    assert models(alice, busy) == 2


def test_the_events_of_one_project_take_one_read_and_one_transaction(world: World, alice: Client) -> None:
    project_id = alice.create()
    with interrupted(-1, lambda: None) as calls:
        assert world.deliver([announced(project_id) for _ in range(10)]) == []
    assert calls == ["BatchGetItem", "TransactWriteItems"]
    assert models(alice, project_id) == 10


def test_more_events_of_a_project_than_a_transaction_takes_are_recorded(world: World, alice: Client) -> None:
    project_id = alice.create()
    assert world.deliver([announced(project_id) for _ in range(2 * resources.AT_ONCE + 1)]) == []
    assert models(alice, project_id) == 2 * resources.AT_ONCE + 1


def said(world: World, project_id: str, event: Event) -> dict[str, Any]:
    """An event of the model as the bus delivers it."""
    resource = {"id": event.id, "name": event.name}
    moment = f"2026-02-12T08:00:{event.second:02}Z"
    return world.event(f"{event.type.title()} {event.change}", project_id, resource, moment)


deliveries = st.lists(
    st.builds(
        Event,
        st.sampled_from(["dataset", "model"]),
        st.sampled_from([str(uuid.UUID(int=number)) for number in range(3)]),
        st.sampled_from(CHANGES),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=deliveries, size=st.integers(1, 12))
def test_however_events_are_batched_they_come_to_the_same(
    world: World, alice: Client, sent: list[Event], size: int
) -> None:
    project_id = alice.create()
    bodies = [said(world, project_id, event) for event in sent]
    for start in range(0, len(bodies), size):
        assert world.deliver(bodies[start : start + size]) == []
    model = Project(project_id, "", "", "", "", "", {})
    for event in sent:
        model.record(event)
    expected = [(one.type, one.id, one.name) for one in model.resources()]
    timeline = alice.get(f"/api/projects/{project_id}/timeline")["events"]
    assert [(one["type"], one["id"], one["name"]) for one in timeline] == expected
    counted = Counter(one.type for one in model.resources())
    project = alice.get(f"/api/projects/{project_id}")["project"]
    assert (project["dataset_count"], project["model_count"]) == (counted["dataset"], counted["model"])
    assert world.broken_invariants() == []


def test_the_largest_event_that_is_taken_fits_into_an_item(world: World, alice: Client) -> None:
    project_id = alice.create()
    key = f"projects/{project_id}/"
    key += "ü" * ((resource_events.KEY_BYTES - len(key)) // 2)
    room = resource_events.FIELDS_BYTES - len(json.dumps({"note": ""}))
    largest = announced(
        project_id,
        name="\N{BAR CHART}" * 1024,
        note="\N{BAR CHART}" * (room // 4),
        artifact={"key": key, "content_type": "x" * 255},
    )
    assert world.deliver([largest]) == []
    assert world.dead_letters() == []
    (event,) = alice.get(f"/api/projects/{project_id}/timeline")["events"]
    assert event["name"] == "\N{BAR CHART}" * 1024
    id_, resource = resource_events.parse(json.dumps(largest))
    item = resource_to_item(id_, resource)
    size = sum(len(name) + len(str(next(iter(value.values()))).encode()) for name, value in item.items())
    assert 300_000 < 3 * size < 400 * 1024  # itself, and its copies in the two local indexes
    assert resources.AT_ONCE * size < 4_000_000
    many = [announced(project_id, name="\N{BAR CHART}" * 1024, note="x" * room) for _ in range(resources.AT_ONCE)]
    assert world.deliver(many) == []
    assert models(alice, project_id) == 1 + resources.AT_ONCE


@pytest.mark.parametrize("size", [256 << 10, queues.MESSAGE_BYTES])
def test_an_event_as_large_as_the_bus_takes_is_put_aside_whole_with_its_reason(
    world: World, alice: Client, size: int
) -> None:
    project_id = alice.create()
    event = announced(project_id, name="")
    event["detail"]["resource"] |= {"name": "large", "note": ""}
    event["detail"]["resource"]["note"] = "x" * (size - len(json.dumps(event)) - 50)
    assert world.deliver([event, announced(project_id, name="small")]) == []
    ((body, why),) = world.dead_letters()
    assert body == event
    assert why.startswith("resource: its fields take")
    assert names(alice, project_id) == ["small"]


def test_an_event_whose_item_would_be_too_large_is_put_aside_and_its_project_goes_on(
    world: World, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource_events, "FIELDS_BYTES", 1 << 20)
    project_id = alice.create()
    too_large = announced(project_id, note="x" * 450_000)
    assert world.deliver([announced(project_id), too_large, announced(project_id)]) == []
    ((body, why),) = world.dead_letters()
    assert body == too_large
    assert "400 KB" in why
    assert models(alice, project_id) == 2
    assert world.deliver([announced(project_id)]) == []
    assert models(alice, project_id) == 3


def test_what_has_no_room_in_its_project_any_more_is_put_aside_and_members_are_told(
    world: World, alice: Client, bob: Client
) -> None:
    full, other = alice.create(), alice.create()
    batch = [announced(full), announced(other), announced(full)]
    with broken_writes(lambda: refusal("ItemCollectionSizeLimitExceeded", "Collection too large"), of=full):
        assert world.deliver(batch) == []
        added = alice.post(f"/api/projects/{full}/members", {"email": bob.email})
    assert [why for _, why in world.dead_letters()] == [added["detail"]] * 2
    assert (added.status, "full" in added["detail"]) == (409, True)
    assert (models(alice, full), models(alice, other)) == (0, 1)
