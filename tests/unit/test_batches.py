"""Batches of events: recorded together, and each as if it had come alone."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projects_api.domain import resource_events
from projects_api.storage import clients, sqs
from projects_api.storage.dynamodb import resource_store
from projects_api.storage.dynamodb.item_mapping import resource_to_item
from tests.support.api_client import Client
from tests.support.api_model import CHANGES, Event, Project
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupted

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
    app: InProcessApp, alice: Client
) -> None:
    project_id, other = alice.create(), alice.create()
    nobodys = announced(str(uuid.uuid4()))
    malformed = announced(project_id, id="no-uuid")
    elsewhere = announced(project_id, artifact={"key": f"projects/{other}/f"})
    good = [announced(project_id, name=f"good {number}") for number in range(4)]
    batch = [good[0], malformed, nobodys, good[1], announced(other), elsewhere, good[2], {"no": "event"}, good[3]]
    assert app.deliver(batch) == []
    assert names(alice, project_id) == ["good 0", "good 1", "good 2", "good 3"]
    assert (models(alice, project_id), models(alice, other)) == (4, 1)
    reasons = {json.dumps(body): why for body, why in app.dead_letters()}
    assert reasons.keys() == {json.dumps(body) for body in (malformed, nobodys, elsewhere, {"no": "event"})}
    assert "resource.id" in reasons[json.dumps(malformed)]
    assert "no such project" in reasons[json.dumps(nobodys)]
    assert "artifact.key" in reasons[json.dumps(elsewhere)]
    assert "detail-type" in reasons[json.dumps({"no": "event"})]


def test_only_what_fails_for_now_is_delivered_again(app: InProcessApp, alice: Client) -> None:
    busy, calm, alone = alice.create(), alice.create(), alice.create()
    late = [announced(busy), announced(busy)]
    batch = [announced(calm), late[0], {"no": "event"}, announced(alone), late[1], announced(calm)]

    def throttled() -> ClientError:
        return ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "TransactWriteItems")

    with broken_writes(throttled, of=busy):
        assert app.deliver(batch) == late
    assert [models(alice, one) for one in (busy, calm, alone)] == [0, 2, 1]
    assert len(app.dead_letters()) == 1
    assert app.deliver(late) == []
    assert models(alice, busy) == 2


def test_the_events_of_one_project_take_one_read_and_one_transaction(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    with interrupted(-1, lambda: None) as calls:
        assert app.deliver([announced(project_id) for _ in range(10)]) == []
    assert calls == ["BatchGetItem", "TransactWriteItems"]
    assert models(alice, project_id) == 10


def test_more_events_of_a_project_than_a_transaction_takes_are_recorded(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    assert app.deliver([announced(project_id) for _ in range(2 * resource_store.RESOURCES_PER_TRANSACTION + 1)]) == []
    assert models(alice, project_id) == 2 * resource_store.RESOURCES_PER_TRANSACTION + 1


def said(app: InProcessApp, project_id: str, event: Event) -> dict[str, Any]:
    """An event of the model as the bus delivers it."""
    resource = {"id": event.id, "name": event.name}
    moment = f"2026-02-12T08:00:{event.second:02}Z"
    return app.event(f"{event.type.title()} {event.change}", project_id, resource, moment)


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
    app: InProcessApp, alice: Client, sent: list[Event], size: int
) -> None:
    project_id = alice.create()
    bodies = [said(app, project_id, event) for event in sent]
    for start in range(0, len(bodies), size):
        assert app.deliver(bodies[start : start + size]) == []
    model = Project(project_id, "", "", "", "", "", {})
    for event in sent:
        model.record(event)
    expected = [(one.type, one.id, one.name) for one in model.resources()]
    timeline = alice.get(f"/api/projects/{project_id}/timeline")["events"]
    assert [(one["type"], one["id"], one["name"]) for one in timeline] == expected
    counted = Counter(one.type for one in model.resources())
    project = alice.get(f"/api/projects/{project_id}")["project"]
    assert (project["dataset_count"], project["model_count"]) == (counted["dataset"], counted["model"])
    assert app.broken_invariants() == []


def test_the_largest_event_that_is_taken_fits_into_an_item(app: InProcessApp, alice: Client) -> None:
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
    assert app.deliver([largest]) == []
    assert app.dead_letters() == []
    (event,) = alice.get(f"/api/projects/{project_id}/timeline")["events"]
    assert event["name"] == "\N{BAR CHART}" * 1024
    id_, resource = resource_events.parse(json.dumps(largest))
    item = resource_to_item(id_, resource)
    size = sum(len(name) + len(str(next(iter(value.values()))).encode()) for name, value in item.items())
    assert 300_000 < 3 * size < 400 * 1024  # itself, and its copies in the two local indexes
    assert resource_store.RESOURCES_PER_TRANSACTION * size < 4_000_000
    many = [
        announced(project_id, name="\N{BAR CHART}" * 1024, note="x" * room)
        for _ in range(resource_store.RESOURCES_PER_TRANSACTION)
    ]
    assert app.deliver(many) == []
    assert models(alice, project_id) == 1 + resource_store.RESOURCES_PER_TRANSACTION


@pytest.mark.parametrize("size", [256 << 10, sqs.MESSAGE_BYTES])
def test_an_event_as_large_as_the_bus_takes_is_put_aside_whole_with_its_reason(
    app: InProcessApp, alice: Client, size: int
) -> None:
    project_id = alice.create()
    event = announced(project_id, name="")
    event["detail"]["resource"] |= {"name": "large", "note": ""}
    event["detail"]["resource"]["note"] = "x" * (size - len(json.dumps(event)) - 50)
    assert app.deliver([event, announced(project_id, name="small")]) == []
    ((body, why),) = app.dead_letters()
    assert body == event
    assert why.startswith("resource: its fields take")
    assert names(alice, project_id) == ["small"]


def test_an_event_whose_item_would_be_too_large_is_put_aside_and_its_project_goes_on(
    app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource_events, "FIELDS_BYTES", 1 << 20)
    project_id = alice.create()
    too_large = announced(project_id, note="x" * 450_000)
    assert app.deliver([announced(project_id), too_large, announced(project_id)]) == []
    ((body, why),) = app.dead_letters()
    assert body == too_large
    assert "400 KB" in why
    assert models(alice, project_id) == 2
    assert app.deliver([announced(project_id)]) == []
    assert models(alice, project_id) == 3


def test_what_has_no_room_in_its_project_any_more_is_put_aside_and_members_are_told(
    app: InProcessApp, alice: Client, bob: Client
) -> None:
    full, other = alice.create(), alice.create()
    batch = [announced(full), announced(other), announced(full)]
    with broken_writes(lambda: refusal("ItemCollectionSizeLimitExceeded", "Collection too large"), of=full):
        assert app.deliver(batch) == []
        added = alice.post(f"/api/projects/{full}/members", {"email": bob.email})
    assert [why for _, why in app.dead_letters()] == [added["detail"]] * 2
    assert (added.status, "full" in added["detail"]) == (409, True)
    assert (models(alice, full), models(alice, other)) == (0, 1)
