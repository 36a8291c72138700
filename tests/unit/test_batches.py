"""Batches of events: each event has the same effect as if it were delivered alone."""

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

from projects_api.domain import resource_events, resource_fields
from projects_api.storage import clients, sqs
from projects_api.storage.dynamodb import resource_store
from projects_api.storage.dynamodb.item_mapping import resource_to_item
from tests.support.api_client import Client
from tests.support.api_model import CHANGES, Event, Project
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupt_call

AT = "2026-02-12T08:00:00Z"


def build_event(project_id: str, **fields: Any) -> dict[str, Any]:
    """Return an event for a new model with these fields."""
    resource = {"id": str(uuid.uuid4()), "name": "m"} | fields
    return {
        "source": "mlplatform.tests",
        "detail-type": "Model Created",
        "detail": {"project_id": project_id, "occurred_at": AT, "resource": resource},
    }


def count_models(client: Client, project_id: str) -> int:
    return int(client.get(f"/api/projects/{project_id}")["project"]["model_count"])


def list_names(client: Client, project_id: str) -> list[str]:
    return sorted(event["name"] for event in client.get(f"/api/projects/{project_id}/timeline")["events"])


@contextmanager
def fail_transactions(error: Callable[[], ClientError], *, containing: str) -> Iterator[None]:
    """Fail every transaction that contains an id.

    Args:
        error: Creates the error.
        containing: The id of a project or of a resource.
    """

    def on_call(params: dict[str, Any], **_: Any) -> None:
        if containing in json.dumps(params["TransactItems"]):
            raise error()

    hooks = clients.dynamodb().meta.events
    hooks.register_first("before-parameter-build.dynamodb.TransactWriteItems", on_call)
    try:
        yield
    finally:
        hooks.unregister("before-parameter-build.dynamodb.TransactWriteItems", on_call)


def cancel_transaction(code: str, message: str) -> ClientError:
    """Return the error of a transaction that DynamoDB cancels for this reason."""
    reasons: Any = [{"Code": "None"}, {"Code": code, "Message": message}]
    return ClientError(
        {"Error": {"Code": "TransactionCanceledException", "Message": ""}, "CancellationReasons": reasons},
        "TransactWriteItems",
    )


def test_invalid_events_are_rejected(app: InProcessApp, alice: Client) -> None:
    """Invalid events go to the dead-letter queue with a reason, and the rest of the batch is recorded."""
    project_id, other = alice.create(), alice.create()
    no_project = build_event(str(uuid.uuid4()))
    malformed = build_event(project_id, id="no-uuid")
    foreign_key = build_event(project_id, artifact={"key": f"projects/{other}/f"})
    valid = [build_event(project_id, name=f"good {number}") for number in range(4)]
    batch = [
        valid[0],
        malformed,
        no_project,
        valid[1],
        build_event(other),
        foreign_key,
        valid[2],
        {"no": "event"},
        valid[3],
    ]
    assert app.deliver(batch) == []
    assert list_names(alice, project_id) == ["good 0", "good 1", "good 2", "good 3"]
    assert (count_models(alice, project_id), count_models(alice, other)) == (4, 1)
    reasons = {json.dumps(body): reason for body, reason in app.take_dead_letters()}
    assert reasons.keys() == {json.dumps(body) for body in (malformed, no_project, foreign_key, {"no": "event"})}
    assert "resource.id" in reasons[json.dumps(malformed)]
    assert "no such project" in reasons[json.dumps(no_project)]
    assert "artifact.key" in reasons[json.dumps(foreign_key)]
    assert "detail-type" in reasons[json.dumps({"no": "event"})]


def test_only_throttled_events_are_retried(app: InProcessApp, alice: Client) -> None:
    busy, calm, alone = alice.create(), alice.create(), alice.create()
    retried = [build_event(busy), build_event(busy)]
    batch = [build_event(calm), retried[0], {"no": "event"}, build_event(alone), retried[1], build_event(calm)]

    def throttle() -> ClientError:
        return ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "TransactWriteItems")

    with fail_transactions(throttle, containing=busy):
        assert app.deliver(batch) == retried
    assert [count_models(alice, project_id) for project_id in (busy, calm, alone)] == [0, 2, 1]
    assert len(app.take_dead_letters()) == 1
    assert app.deliver(retried) == []
    assert count_models(alice, busy) == 2


def test_events_of_one_project_share_a_transaction(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    with interrupt_call(-1, lambda: None) as calls:
        assert app.deliver([build_event(project_id) for _ in range(10)]) == []
    assert calls == ["BatchGetItem", "TransactWriteItems"]
    assert count_models(alice, project_id) == 10


def test_more_events_than_a_transaction_holds(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    assert app.deliver([build_event(project_id) for _ in range(2 * resource_store.RESOURCES_PER_TRANSACTION + 1)]) == []
    assert count_models(alice, project_id) == 2 * resource_store.RESOURCES_PER_TRANSACTION + 1


def convert_event(app: InProcessApp, project_id: str, event: Event) -> dict[str, Any]:
    """Convert an event of the API model to an event as the bus delivers it."""
    resource = {"id": event.id, "name": event.name}
    occurred_at = f"2026-02-12T08:00:{event.second:02}Z"
    return app.build_event(f"{event.type.title()} {event.change}", project_id, resource, occurred_at)


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
@given(published=deliveries, size=st.integers(1, 12))
def test_batch_size_does_not_matter(app: InProcessApp, alice: Client, published: list[Event], size: int) -> None:
    project_id = alice.create()
    bodies = [convert_event(app, project_id, event) for event in published]
    for start in range(0, len(bodies), size):
        assert app.deliver(bodies[start : start + size]) == []
    model = Project(project_id, "", "", "", "", "", {})
    for event in published:
        model.record(event)
    expected = [(resource.type, resource.id, resource.name) for resource in model.resources()]
    timeline = alice.get(f"/api/projects/{project_id}/timeline")["events"]
    assert [(entry["type"], entry["id"], entry["name"]) for entry in timeline] == expected
    counts = Counter(resource.type for resource in model.resources())
    project = alice.get(f"/api/projects/{project_id}")["project"]
    assert (project["dataset_count"], project["model_count"]) == (counts["dataset"], counts["model"])
    assert app.find_broken_invariants() == []


def test_largest_valid_event(app: InProcessApp, alice: Client) -> None:
    """The largest valid event fits into an item, and a full batch of such events into its transactions.

    An item may have 400 KB and a transaction 4 MB.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
    """
    project_id = alice.create()
    key = f"projects/{project_id}/"
    key += "ü" * ((resource_fields.MAX_KEY_SIZE - len(key)) // 2)
    room = resource_fields.MAX_FIELDS_SIZE - len(json.dumps({"note": ""}))
    largest = build_event(
        project_id,
        name="\N{BAR CHART}" * 1024,
        note="\N{BAR CHART}" * (room // 4),
        artifact={"key": key, "content_type": "x" * 255},
    )
    assert app.deliver([largest]) == []
    assert app.take_dead_letters() == []
    (event,) = alice.get(f"/api/projects/{project_id}/timeline")["events"]
    assert event["name"] == "\N{BAR CHART}" * 1024
    id_, resource = resource_events.parse(json.dumps(largest))
    item = resource_to_item(id_, resource)
    size = sum(len(name) + len(str(next(iter(value.values()))).encode()) for name, value in item.items())
    assert 300_000 < 3 * size < 400 * 1024  # with its copies in the two local indexes
    assert resource_store.RESOURCES_PER_TRANSACTION * size < 4_000_000
    many = [
        build_event(project_id, name="\N{BAR CHART}" * 1024, note="x" * room)
        for _ in range(resource_store.RESOURCES_PER_TRANSACTION)
    ]
    assert app.deliver(many) == []
    assert count_models(alice, project_id) == 1 + resource_store.RESOURCES_PER_TRANSACTION


@pytest.mark.parametrize("size", [256 << 10, sqs.MAX_MESSAGE_SIZE])
def test_too_large_event_is_rejected(app: InProcessApp, alice: Client, size: int) -> None:
    """The dead-letter queue receives the whole event with the reason, even if it is as large as the bus accepts."""
    project_id = alice.create()
    event = build_event(project_id, name="")
    event["detail"]["resource"] |= {"name": "large", "note": ""}
    event["detail"]["resource"]["note"] = "x" * (size - len(json.dumps(event)) - 50)
    assert app.deliver([event, build_event(project_id, name="small")]) == []
    ((body, reason),) = app.take_dead_letters()
    assert body == event
    assert reason.startswith("resource: the fields take")
    assert list_names(alice, project_id) == ["small"]


def test_too_large_item_is_rejected(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that DynamoDB rejects does not block the other events of its project."""
    monkeypatch.setattr(resource_fields, "MAX_FIELDS_SIZE", 1 << 20)
    project_id = alice.create()
    too_large = build_event(project_id, note="x" * 450_000)
    assert app.deliver([build_event(project_id), too_large, build_event(project_id)]) == []
    ((body, reason),) = app.take_dead_letters()
    assert body == too_large
    assert "400 KB" in reason
    assert count_models(alice, project_id) == 2
    assert app.deliver([build_event(project_id)]) == []
    assert count_models(alice, project_id) == 3


def test_full_project(app: InProcessApp, alice: Client, bob: Client) -> None:
    """A project whose item collection is full rejects events and new members, and does not affect other projects."""
    full, other = alice.create(), alice.create()
    batch = [build_event(full), build_event(other), build_event(full)]
    with fail_transactions(
        lambda: cancel_transaction("ItemCollectionSizeLimitExceeded", "Collection too large"), containing=full
    ):
        assert app.deliver(batch) == []
        added = alice.post(f"/api/projects/{full}/members", {"email": bob.email})
    assert [reason for _, reason in app.take_dead_letters()] == [added["detail"]] * 2
    assert (added.status, "full" in added["detail"]) == (409, True)
    assert (count_models(alice, full), count_models(alice, other)) == (0, 1)
