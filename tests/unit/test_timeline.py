"""The timeline: recording events of other services, and reading the resources."""

import itertools
import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects_api.domain.resource_events import EventRejectedError, parse
from projects_api.domain.resource_versions import Change, merge_event, resource_from_event
from projects_api.entities.ids import ResourceId
from projects_api.entities.resource import Resource, ResourceType
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

START = datetime(2026, 2, 10, 9, tzinfo=UTC)


def format_time(hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def test_recorded_events_are_listed(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    ids = {kind: str(uuid.uuid4()) for kind in ("dataset", "experiment", "model", "deployment", "report")}
    experiment = {
        "status": "completed",
        "target_column": "fraud",
        "problem_type": "classification",
        "best_model_type": "gbm",
        "duration": 84.5,
    }
    events: list[tuple[str, dict[str, Any]]] = [
        ("dataset", {"rows": 50_000, "columns": 15}),
        ("experiment", experiment),
        ("model", {"accuracy": 0.93}),
        ("deployment", {}),
        ("report", {}),
    ]
    for hour, (kind, fields) in enumerate(events):
        resource = {"id": ids[kind], "name": f"a {kind}", **fields}
        app.publish_event(f"{kind.title()} Created", project_id, resource, format_time(hour))
    app.process_queues()
    timeline = alice.get(f"/api/projects/{project_id}/timeline")
    assert timeline["project_id"] == project_id
    assert timeline["next_cursor"] is None
    common = [
        {"id": ids[kind], "type": kind, "name": f"a {kind}", "timestamp": format_time(hour)}
        for hour, kind in enumerate(ids)
    ]
    assert timeline["events"] == [
        common[0] | {"rows": 50_000, "columns": 15},
        common[1] | experiment,
        *common[2:],
    ]
    project = alice.get(f"/api/projects/{project_id}")["project"]
    assert (project["dataset_count"], project["experiment_count"], project["model_count"]) == (1, 1, 1)


def test_pages_filter_and_order(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    for number in range(10):
        kind = "Dataset" if number % 3 else "Model"
        resource = {"id": str(uuid.uuid4()), "name": str(number)}
        app.publish_event(f"{kind} Created", project_id, resource, format_time(number // 2))
    app.process_queues()
    path = f"/api/projects/{project_id}/timeline"

    def list_names(query: str, limit: int) -> list[str]:
        names: list[str] = []
        cursor = ""
        for _ in range(12):
            page = alice.get(f"{path}?limit={limit}{query}{cursor}")
            assert len(page["events"]) <= limit
            assert page["events"] or not cursor, "The page is empty, although the previous page had a cursor."
            names += [event["name"] for event in page["events"]]
            if page["next_cursor"] is None:
                return names
            cursor = f"&cursor={page['next_cursor']}"
        raise AssertionError("The pages do not end.")

    all_names = list_names("", 500)
    assert sorted(all_names) == [str(number) for number in range(10)]
    assert [int(name) // 2 for name in all_names] == sorted(int(name) // 2 for name in all_names)
    assert list_names("&order=desc", 500) == all_names[::-1]
    models = [name for name in all_names if int(name) % 3 == 0]
    assert list_names("&type=model", 500) == models
    for limit in (1, 3, 10):
        assert list_names("", limit) == all_names
        assert list_names("&order=desc", limit) == all_names[::-1]
        assert list_names("&type=model", limit) == models
        assert list_names("&type=model&order=desc", limit) == models[::-1]
    assert list_names("&type=report", 5) == []
    first = alice.get(f"{path}?limit=1&type=model")
    assert alice.get(f"{path}?type=dataset&cursor={first['next_cursor']}").status == 422


@pytest.mark.memory("rejected before any call to an engine")
@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "type=cat", "order=up", "cursor=x", "cursor=%F0", "cursor=W10", "cursor=" + "A" * 600,
     "cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwibW9kZWwiLCIwMTkwMDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDAiXQ"],
)  # fmt: skip
def test_invalid_query(alice: Client, query: str) -> None:
    assert alice.get(f"/api/projects/{alice.create()}/timeline?{query}").status == 422


def test_repeated_and_outdated_events(app: InProcessApp, alice: Client) -> None:
    """Repeated and older events change nothing, and a deleted resource does not reappear."""
    project_id, id_ = alice.create(), str(uuid.uuid4())

    def send(change: str, name: str, hour: float) -> None:
        app.publish_event(f"Dataset {change}", project_id, {"id": id_, "name": name}, format_time(hour))
        app.process_queues()

    def read_timeline() -> tuple[list[str], int]:
        events = alice.get(f"/api/projects/{project_id}/timeline")["events"]
        project = alice.get(f"/api/projects/{project_id}")["project"]
        return [event["name"] for event in events], project["dataset_count"]

    send("Updated", "second", 2)
    send("Created", "first", 1)
    send("Updated", "second", 2)
    assert read_timeline() == (["second"], 1)
    send("Updated", "third", 3)
    assert read_timeline() == (["third"], 1)
    for change, hour in (("Deleted", 4), ("Deleted", 4), ("Updated", 3.5), ("Created", 9), ("Updated", 10)):
        send(change, "gone", hour)
        assert read_timeline() == ([], 0)
    assert app.take_dead_letters() == []


def test_deletion_arrives_first(app: InProcessApp, alice: Client) -> None:
    project_id, id_ = alice.create(), str(uuid.uuid4())
    for change in ("Deleted", "Created"):
        app.publish_event(f"Model {change}", project_id, {"id": id_, "name": "m"})
        app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/timeline")["events"] == []
    assert alice.get(f"/api/projects/{project_id}")["project"]["model_count"] == 0


def test_deletion_needs_the_id_only(app: InProcessApp, alice: Client) -> None:
    project_id, id_ = alice.create(), str(uuid.uuid4())
    app.publish_event("Dataset Created", project_id, {"id": id_, "name": "d"})
    app.publish_event("Dataset Deleted", project_id, {"id": id_})
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}")["project"]["dataset_count"] == 0
    assert app.take_dead_letters() == []


RESOURCE = {"id": str(uuid.uuid4()), "name": "r"}


@pytest.mark.memory("rejected before any call to an engine")
@pytest.mark.parametrize(
    ("detail_type", "resource", "reason"),
    [
        ("Dataset Exploded", RESOURCE, "detail-type"),
        ("dataset created", RESOURCE, "detail-type"),
        ("Cat Created", RESOURCE, "detail-type"),
        ("Model Created", RESOURCE | {"id": "no-uuid"}, "resource.id"),
        ("Model Created", {"id": RESOURCE["id"]}, "resource.name"),
        ("Dataset Created", RESOURCE | {"rows": -1}, "resource.rows"),
        ("Dataset Created", RESOURCE | {"rows": "many"}, "resource.rows"),
        ("Experiment Created", RESOURCE | {"duration": -1}, "resource.duration"),
        ("Report Created", RESOURCE | {"text": "x" * 100_001}, "100000"),
        ("Report Created", RESOURCE | {"artifact": {"key": "elsewhere/file"}}, "artifact.key"),
        ("Report Created", RESOURCE | {"artifact": {"key": f"projects/{uuid.uuid4()}/f"}}, "artifact.key"),
        ("Report Created", RESOURCE | {"artifact": {"key": "projects/PROJECT/../other/f"}}, "artifact.key"),
        ("Report Created", RESOURCE | {"artifact": {"key": "projects/PROJECT/"}}, "artifact.key"),
    ],
)
def test_invalid_events_are_rejected(
    app: InProcessApp, alice: Client, detail_type: str, resource: dict[str, Any], reason: str
) -> None:
    project_id = alice.create()
    if "artifact" in resource:
        key = resource["artifact"]["key"].replace("PROJECT", project_id)
        resource = resource | {"artifact": {"key": key, "content_type": "text/plain"}}
    app.publish_event(detail_type, project_id, resource)
    app.process_queues()
    ((event, actual_reason),) = app.take_dead_letters()
    assert event["detail"]["project_id"] == project_id
    assert reason in actual_reason
    assert alice.get(f"/api/projects/{project_id}/timeline")["events"] == []


def test_events_with_unstorable_values_are_rejected(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    for time in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        app.publish_event("Model Created", project_id, RESOURCE, time)
    artifact = {"key": f"projects/{project_id}/{'ü' * 600}"}  # fewer than 1024 characters, but more bytes
    app.publish_event("Model Created", project_id, RESOURCE | {"artifact": artifact})
    app.process_queues()
    reasons = [reason for _, reason in app.take_dead_letters()]
    assert ["years" in reason for reason in reasons] == [True, True, False]
    assert "1024 bytes" in reasons[2]


def test_duration_too_large_for_a_float(app: InProcessApp, alice: Client) -> None:
    project_id, duration = alice.create(), 10**400
    app.publish_event("Experiment Created", project_id, RESOURCE | {"duration": duration})
    app.process_queues()
    (event,) = alice.get(f"/api/projects/{project_id}/timeline")["events"]
    assert event["duration"] == duration


def test_events_within_a_microsecond(app: InProcessApp, alice: Client) -> None:
    """Versions follow the fractions of a second at any precision."""
    project_id = alice.create()
    fractions = ["123456", "12345600001", "12345609", "1234561", "1234561500", "12345616", "123457"]
    bodies = [
        app.build_event("Model Updated", project_id, RESOURCE, f"2026-02-12T08:00:00.{fraction}Z")
        for fraction in fractions
    ]
    versions = [parse(json.dumps(body))[1].version for body in bodies]
    assert versions == sorted(set(versions))
    assert parse(json.dumps(bodies[3]))[1] == parse(json.dumps(bodies[3]).replace("1234561Z", "123456100Z"))[1]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {"detail-type": st.sampled_from(["Dataset Created", "Experiment Updated", "Model Deleted", ""]) | json_values},
        optional={
            "detail": st.fixed_dictionaries(
                {},
                optional={
                    "project_id": st.just(RESOURCE["id"]) | json_values,
                    "occurred_at": st.just(format_time(1)) | st.datetimes().map(str) | json_values,
                    "resource": st.dictionaries(st.sampled_from(["id", "name", "rows", "artifact", "x"]), json_values)
                    | st.just(RESOURCE)
                    | json_values,
                },
            )
        },
    )
    | json_values
)
def test_any_event_is_parsed_or_rejected(body: Any) -> None:
    try:
        project_id, resource = parse(json.dumps(body))
    except EventRejectedError as reason:
        assert str(reason)  # noqa: PT017 - an event may be parsed or rejected
    else:
        assert UUID(project_id)
        assert resource.name or resource.deleted


def test_event_for_unknown_project_is_rejected(app: InProcessApp) -> None:
    app.publish_event("Model Created", str(uuid.uuid4()), RESOURCE)
    app.put_event("Model Created", {"nothing": "of use"})
    app.process_queues()
    reasons = " ".join(reason for _, reason in app.take_dead_letters())
    assert "no such project" in reasons
    assert "occurred_at" in reasons


resource_events = st.builds(
    lambda change, hour, name: resource_from_event(
        id=ResourceId("r"),
        type=ResourceType.MODEL,
        change=change,
        name=name,
        occurred_at=START + timedelta(hours=hour),
        fields={},
        artifact=None,
    ),
    st.sampled_from(Change),
    st.integers(0, 3),
    st.sampled_from("abc"),
)


def merge_all(sequence: list[Resource]) -> Resource | None:
    resource: Resource | None = None
    for event in sequence:
        resource = merge_event(resource, event)
    return resource


@given(st.lists(resource_events, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_delivery_order_does_not_matter(events: list[Resource], generator: random.Random) -> None:
    expected = merge_all(events)
    for order in itertools.islice(itertools.permutations(events), 24):
        repeated = [*order, *generator.choices(order, k=2)]
        merged = merge_all(repeated)
        assert expected
        assert merged
        assert merged.deleted == expected.deleted == any(event.deleted for event in events)
        if not expected.deleted:
            assert merged == expected
            assert merged.version == max(event.version for event in events)
