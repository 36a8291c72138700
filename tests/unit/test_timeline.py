"""Events in, timeline out."""

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
from projects_api.domain.resources import Change, merge_event, resource_from_event
from projects_api.entities.ids import ResourceId
from projects_api.entities.resource import Resource, ResourceType
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

START = datetime(2026, 2, 10, 9, tzinfo=UTC)


def at(hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def test_events_become_the_timeline_with_the_fields_of_their_types(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    ids = {kind: str(uuid.uuid4()) for kind in ("dataset", "experiment", "model", "deployment", "report")}
    experiment = {
        "status": "completed",
        "target_column": "fraud",
        "problem_type": "classification",
        "best_model_type": "gbm",
        "duration": 84.5,
    }
    sent: list[tuple[str, dict[str, Any]]] = [
        ("dataset", {"rows": 50_000, "columns": 15}),
        ("experiment", experiment),
        ("model", {"accuracy": 0.93}),
        ("deployment", {}),
        ("report", {}),
    ]
    for hour, (kind, fields) in enumerate(sent):
        resource = {"id": ids[kind], "name": f"a {kind}", **fields}
        app.announce(f"{kind.title()} Created", project_id, resource, at(hour))
    app.process_queues()
    timeline = alice.get(f"/api/projects/{project_id}/timeline")
    assert timeline["project_id"] == project_id
    assert timeline["next_cursor"] is None
    common = [
        {"id": ids[kind], "type": kind, "name": f"a {kind}", "timestamp": at(hour)} for hour, kind in enumerate(ids)
    ]
    assert timeline["events"] == [
        common[0] | {"rows": 50_000, "columns": 15},
        common[1] | experiment,
        *common[2:],
    ]
    project = alice.get(f"/api/projects/{project_id}")["project"]
    assert (project["dataset_count"], project["experiment_count"], project["model_count"]) == (1, 1, 1)


def test_the_timeline_pages_filters_and_turns_round(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    for number in range(10):
        kind = "Dataset" if number % 3 else "Model"
        resource = {"id": str(uuid.uuid4()), "name": str(number)}
        app.announce(f"{kind} Created", project_id, resource, at(number // 2))
    app.process_queues()
    path = f"/api/projects/{project_id}/timeline"

    def names(query: str, limit: int) -> list[str]:
        found: list[str] = []
        cursor = ""
        for _ in range(12):
            page = alice.get(f"{path}?limit={limit}{query}{cursor}")
            assert len(page["events"]) <= limit
            assert page["events"] or not cursor, "there was no more, and a cursor said that there was"
            found += [event["name"] for event in page["events"]]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"
        raise AssertionError("the pages do not end")

    whole = names("", 500)
    assert sorted(whole) == [str(number) for number in range(10)]
    assert [int(name) // 2 for name in whole] == sorted(int(name) // 2 for name in whole)
    assert names("&order=desc", 500) == whole[::-1]
    models = [name for name in whole if int(name) % 3 == 0]
    assert names("&type=model", 500) == models
    for limit in (1, 3, 10):
        assert names("", limit) == whole
        assert names("&order=desc", limit) == whole[::-1]
        assert names("&type=model", limit) == models
        assert names("&type=model&order=desc", limit) == models[::-1]
    assert names("&type=report", 5) == []
    first = alice.get(f"{path}?limit=1&type=model")
    assert alice.get(f"{path}?type=dataset&cursor={first['next_cursor']}").status == 422


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "type=cat", "order=up", "cursor=x", "cursor=%F0", "cursor=W10", "cursor=" + "A" * 600,
     "cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwibW9kZWwiLCIwMTkwMDAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDAiXQ"],
)  # fmt: skip
def test_a_query_of_the_timeline_that_does_not_validate_is_refused(alice: Client, query: str) -> None:
    assert alice.get(f"/api/projects/{alice.create()}/timeline?{query}").status == 422


def test_repeats_and_older_events_change_nothing_and_the_deleted_does_not_come_back(
    app: InProcessApp, alice: Client
) -> None:
    project_id, id_ = alice.create(), str(uuid.uuid4())

    def send(change: str, name: str, hour: float) -> None:
        app.announce(f"Dataset {change}", project_id, {"id": id_, "name": name}, at(hour))
        app.process_queues()

    def seen() -> tuple[list[str], int]:
        events = alice.get(f"/api/projects/{project_id}/timeline")["events"]
        project = alice.get(f"/api/projects/{project_id}")["project"]
        return [event["name"] for event in events], project["dataset_count"]

    send("Updated", "second", 2)
    send("Created", "first", 1)
    send("Updated", "second", 2)
    assert seen() == (["second"], 1)
    send("Updated", "third", 3)
    assert seen() == (["third"], 1)
    for change, hour in (("Deleted", 4), ("Deleted", 4), ("Updated", 3.5), ("Created", 9), ("Updated", 10)):
        send(change, "gone", hour)
        assert seen() == ([], 0)
    assert app.dead_letters() == []


def test_a_deletion_that_comes_first_is_remembered(app: InProcessApp, alice: Client) -> None:
    project_id, id_ = alice.create(), str(uuid.uuid4())
    for change in ("Deleted", "Created"):
        app.announce(f"Model {change}", project_id, {"id": id_, "name": "m"})
        app.process_queues()
    assert alice.get(f"/api/projects/{project_id}/timeline")["events"] == []
    assert alice.get(f"/api/projects/{project_id}")["project"]["model_count"] == 0


def test_a_deletion_needs_no_more_of_a_resource_than_its_id(app: InProcessApp, alice: Client) -> None:
    project_id, id_ = alice.create(), str(uuid.uuid4())
    app.announce("Dataset Created", project_id, {"id": id_, "name": "d"})
    app.announce("Dataset Deleted", project_id, {"id": id_})
    app.process_queues()
    assert alice.get(f"/api/projects/{project_id}")["project"]["dataset_count"] == 0
    assert app.dead_letters() == []


RESOURCE = {"id": str(uuid.uuid4()), "name": "r"}


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
def test_what_can_not_be_recorded_is_put_aside_with_its_reason(
    app: InProcessApp, alice: Client, detail_type: str, resource: dict[str, Any], reason: str
) -> None:
    project_id = alice.create()
    if "artifact" in resource:
        key = resource["artifact"]["key"].replace("PROJECT", project_id)
        resource = resource | {"artifact": {"key": key, "content_type": "text/plain"}}
    app.announce(detail_type, project_id, resource)
    app.process_queues()
    ((event, why),) = app.dead_letters()
    assert event["detail"]["project_id"] == project_id
    assert reason in why
    assert alice.get(f"/api/projects/{project_id}/timeline")["events"] == []


def test_an_event_at_a_time_or_with_a_key_that_nobody_can_keep_is_put_aside(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        app.announce("Model Created", project_id, RESOURCE, moment)
    artifact = {"key": f"projects/{project_id}/{'ü' * 600}"}  # fewer than 1,024 characters, and more bytes
    app.announce("Model Created", project_id, RESOURCE | {"artifact": artifact})
    app.process_queues()
    reasons = [why for _, why in app.dead_letters()]
    assert ["years" in why for why in reasons] == [True, True, False]
    assert "1024 bytes" in reasons[2]


def test_a_duration_beyond_what_a_float_holds_is_recorded_as_it_is(app: InProcessApp, alice: Client) -> None:
    project_id, duration = alice.create(), 10**400
    app.announce("Experiment Created", project_id, RESOURCE | {"duration": duration})
    app.process_queues()
    (event,) = alice.get(f"/api/projects/{project_id}/timeline")["events"]
    assert event["duration"] == duration


def test_events_within_a_microsecond_are_kept_by_their_time(app: InProcessApp, alice: Client) -> None:
    project_id = alice.create()
    fractions = ["123456", "12345600001", "12345609", "1234561", "1234561500", "12345616", "123457"]
    bodies = [app.event("Model Updated", project_id, RESOURCE, f"2026-02-12T08:00:00.{one}Z") for one in fractions]
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
                    "occurred_at": st.just(at(1)) | st.datetimes().map(str) | json_values,
                    "resource": st.dictionaries(st.sampled_from(["id", "name", "rows", "artifact", "x"]), json_values)
                    | st.just(RESOURCE)
                    | json_values,
                },
            )
        },
    )
    | json_values
)
def test_whatever_is_on_the_bus_is_understood_or_refused_with_a_reason(body: Any) -> None:
    try:
        project_id, resource = parse(json.dumps(body))
    except EventRejectedError as reason:
        assert str(reason)  # noqa: PT017 - both outcomes are right
    else:
        assert UUID(project_id)
        assert resource.name


def test_an_event_for_a_project_that_is_not_there_is_put_aside(app: InProcessApp) -> None:
    app.announce("Model Created", str(uuid.uuid4()), RESOURCE)
    app.put_event("Model Created", {"nothing": "of use"})
    app.process_queues()
    reasons = " ".join(why for _, why in app.dead_letters())
    assert "no such project" in reasons
    assert "occurred_at" in reasons


events = st.builds(
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


def outcome(sequence: list[Resource]) -> Resource | None:
    kept: Resource | None = None
    for event in sequence:
        kept = merge_event(kept, event)
    return kept


@given(st.lists(events, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_what_is_kept_does_not_depend_on_the_order_of_delivery(sent: list[Resource], chance: random.Random) -> None:
    first = outcome(sent)
    for order in itertools.islice(itertools.permutations(sent), 24):
        repeated = [*order, *chance.choices(order, k=2)]
        ended = outcome(repeated)
        assert first
        assert ended
        assert ended.deleted == first.deleted == any(event.deleted for event in sent)
        if not first.deleted:
            assert ended == first
            assert ended.version == max(event.version for event in sent)
