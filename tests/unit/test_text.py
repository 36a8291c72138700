"""Text that people and programs write: names, searches, emails, bodies and events in every form of Unicode and JSON."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projects_api.domain.resource_events import EventRejectedError, parse
from projects_api.domain.users import normalize_email
from projects_api.entities.errors import InvalidInputError
from projects_api.entities.text import is_blank
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.memory("texts are checked and normalized before they are stored")

FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("Cafe\u0301 crème", "Café"),
        ("Café crème", "Cafe\u0301"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글"),
        ("big real", "big%20real%20"),
        ("big real", "%C2%A0%E3%80%80real%09"),
        ("STRASSE", "straße"),
        ("Straße", "STRASSE"),
        ("ΟΔΟΣ", "οδος"),
        ("ﬁle", "FILE"),
        ("ǰ", "j\u030c"),
    ],
)
def test_search(alice: Client, name: str, search: str) -> None:
    project_id = alice.create(name)
    assert [project["id"] for project in alice.get(f"/api/projects?search={search}")["items"]] == [project_id]
    assert alice.get("/api/projects?search=%20")["total"] == 1


def test_names_are_stored_trimmed_and_in_nfc(app: InProcessApp, alice: Client) -> None:
    created = alice.post("/api/projects", {"name": "\u3000Cafe\u0301\u00a0", "description": " \tA\u030a\n"})["project"]
    assert (created["name"], created["description"]) == ("Café", "Å")
    assert alice.create("e\u0301" * 200)
    assert alice.post("/api/projects", {"name": "\u0958" * 101}).status == 422  # two characters each in NFC
    assert alice.post("/api/projects", {"name": "\u0316\u0301" * 20_000}).status == 422  # in linear time
    event = app.build_event("Model Created", created["id"], {"id": str(uuid.uuid4()), "name": " Mode\u0300le "})
    assert app.deliver([event]) == []
    assert alice.get(f"/api/projects/{created['id']}/timeline")["events"][0]["name"] == "Modèle"
    user = app.invoke("RegisterUser", {"email": f"{uuid.uuid4()}@example.com", "name": " Zoe\u0308 "})
    assert user["name"] == "Zoë"


@pytest.mark.parametrize(
    "blank",
    [
        "\u200b",
        " \u200d\ufeff ",
        "\u2060",
        "\u00ad",
        "\u3164",
        "\u115f",
        "\u2800",
        "\ufe0f",
        "\U000e0020",
        "\U0001d159",
    ],
)
def test_blank_names(app: InProcessApp, alice: Client, blank: str) -> None:
    project_id = alice.create("Before")
    for method, path in (("POST", "/api/projects"), ("PUT", f"/api/projects/{project_id}")):
        response = alice.request(method, path, {"name": blank})
        assert (response.status, response["detail"][0]["loc"]) == (422, ["body", "name"])
    assert alice.get("/api/projects")["total"] == 1
    with pytest.raises(InvalidInputError):
        app.invoke("RegisterUser", {"email": "a@example.com", "name": blank})
    with pytest.raises(EventRejectedError, match="name"):
        parse(json.dumps(app.build_event("Model Created", project_id, {"id": str(uuid.uuid4()), "name": blank})))


@pytest.mark.parametrize("visible", ["a\u200b", "👨‍👩‍👧", "❤️", "\u0301", "。"])
def test_visible_names(visible: str) -> None:
    assert not is_blank(visible)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("οδοσ@example.com", "ΟΔΟΣ@example.com"),
        ("οδος@example.com", " ΟΔΟΣ@EXAMPLE.com"),
        ("cafe\u0301@example.com", "CAFÉ@example.com"),
        ("a@ΣΑΣ.gr", "a@σας.gr"),
    ],
)
def test_same_email(first: str, second: str) -> None:
    assert normalize_email(first) == normalize_email(second)
    assert normalize_email(str(normalize_email(first))) == normalize_email(first)


@pytest.mark.parametrize(("first", "second"), [("strasse@a.de", "straße@a.de"), ("ﬁ@a.de", "fi@a.de"), ("ı@a", "i@a")])
def test_different_emails(first: str, second: str) -> None:
    assert normalize_email(first) != normalize_email(second)


@pytest.mark.parametrize(
    ("function", "fields"),
    [
        ("RegisterUser", {"name": "Ada"}),
        ("CreateApiKey", {"scopes": ["read"]}),
        ("ListApiKeys", {}),
        ("DeactivateUser", {}),
        ("TransferProject", {"project_id": str(uuid.uuid4())}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize(
    "email",
    [
        "ada @example.com",
        "ada@exa mple.com",
        "ada@example.com@",
        "ada@example.com.",
        "ada@example.com\u0000",
        "\u202eada@example.com",
        "ada@exa\u200bmple.com",
    ],
)
def test_error_does_not_contain_the_email(app: InProcessApp, function: str, fields: dict[str, Any], email: str) -> None:
    with pytest.raises(InvalidInputError, match="not an email address") as error:
        app.invoke(function, {"email": email} | fields)
    assert "ada" not in str(error.value)
    assert "ple.com" not in str(error.value)


@pytest.mark.parametrize("event", [{"email": "\ud800@a.de", "name": "n"}, {"email": "a@a.de", "name": "Zo\udfff"}])
def test_half_of_a_surrogate_pair_from_an_operator(app: InProcessApp, event: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="half of a surrogate pair"):
        app.invoke("RegisterUser", event)


def test_byte_order_mark(alice: Client) -> None:
    body = b'\xef\xbb\xbf{"name": "BOM"}'
    assert alice.request("POST", "/api/projects", body=body).status == 201
    project_id = alice.create()
    assert alice.request("PUT", f"/api/projects/{project_id}", body=body).status == 200
    for invalid in (b"\xef\xbb\xbf", body[:3] + body, '{"name": "n"}'.encode("utf-16")):
        response = alice.request("POST", "/api/projects", body=invalid)
        assert (response.status, response["detail"][0]["loc"]) == (422, ["body"]), invalid


def test_every_time_has_one_form(app: InProcessApp, alice: Client, bob: Client) -> None:
    """A client that parses with one fixed format reads every list."""
    project_id = alice.create()
    path = f"/api/projects/{project_id}"
    alice.post(f"{path}/members", {"email": bob.email})
    for at in ("2026-02-10T09:00:01.500Z", "2026-02-10T10:00:00Z", "2026-02-10T11:00:00.123456789+01:00"):
        app.deliver([app.build_event("Model Created", project_id, {"id": str(uuid.uuid4()), "name": at}, at)])
    alice.post(f"{path}/exports")
    app.process_queues()
    times: list[str] = []

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                if name in {"at", "timestamp"} or name.endswith(("_at", "_on")):
                    times.extend([value] if value else [])
                else:
                    collect(value)
        elif isinstance(node, list):
            for child in node:
                collect(child)

    for route in ("", "/members", "/timeline", "/activity", "/exports"):
        collect(alice.get(path + route).json)
    collect(alice.get("/api/projects").json)
    collect(app.invoke("ListUsers", {}))
    assert len(times) > 15
    for time in times:
        assert datetime.strptime(time, FORMAT).replace(tzinfo=UTC) < datetime.now(UTC) + timedelta(days=30)


# ------------------------------------------------------------------------------------------------------- events

RESOURCE = {"id": "01930000-0000-7000-8000-000000000001", "name": "r"}
PROJECT = "01930000-0000-7000-8000-000000000002"


def build_event(detail_type: str, resource: Any, occurred_at: Any = "2026-02-12T08:00:00Z", **more: Any) -> str:
    detail = {"project_id": PROJECT, "occurred_at": occurred_at, "resource": resource}
    return json.dumps({"source": "mlplatform.tests", "detail-type": detail_type, "detail": detail, **more})


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "-1E400", '[1, {"a": 1e309}]'])
@pytest.mark.parametrize("field", ["duration", "note"])
def test_numbers_that_json_does_not_allow(value: str, field: str) -> None:
    body = build_event("Experiment Created", RESOURCE | {field: "VALUE"}).replace('"VALUE"', value)
    with pytest.raises(EventRejectedError, match=r"contains|inf|finite"):
        parse(body)


@pytest.mark.parametrize("rows", [True, -1, 1.5, "many", []])
def test_reason_says_what_a_count_is(rows: Any) -> None:
    with pytest.raises(EventRejectedError, match="rows: send a whole number, 0 or more"):
        parse(build_event("Dataset Created", RESOURCE | {"rows": rows}))


@pytest.mark.parametrize("resource", [{"\ud800": 1}, {"note": "\udc00"}, {"note": [{"\udfff": "a"}]}])
def test_half_of_a_surrogate_pair(resource: dict[str, Any]) -> None:
    with pytest.raises(EventRejectedError):
        parse(build_event("Model Created", RESOURCE | resource))


@pytest.mark.parametrize(
    "resource",
    [
        {"name": None},
        {"name": "\u200b"},
        {"artifact": {"key": "elsewhere/file"}},
        {"artifact": 5},
        {"note": "x" * 100_001},
        {"rows": -1},
        {"\ud800": "\udc00"},
    ],
)
def test_only_the_id_of_a_deletion_counts(app: InProcessApp, alice: Client, resource: dict[str, Any]) -> None:
    project_id, id_ = alice.create(), str(uuid.uuid4())
    assert app.deliver([app.build_event("Dataset Created", project_id, {"id": id_, "name": "d"})]) == []
    assert app.deliver([app.build_event("Dataset Deleted", project_id, {"id": id_} | resource)]) == []
    assert app.take_dead_letters() == []
    assert alice.get(f"/api/projects/{project_id}")["project"]["dataset_count"] == 0


@pytest.mark.parametrize(
    "occurred_at", [None, "yesterday", "9999-01-01T00:00:00Z", "9999-12-31T23:59:60-23:59", 5, {"a": 1}]
)
def test_time_of_a_deletion(occurred_at: Any) -> None:
    """Without a usable ``occurred_at``, the time of the event counts, and without that the time of its arrival."""
    _, resource = parse(build_event("Model Deleted", RESOURCE, occurred_at, time="2026-02-13T08:00:00Z"))
    assert resource.timestamp == datetime(2026, 2, 13, 8, tzinfo=UTC)
    _, resource = parse(build_event("Model Deleted", RESOURCE, occurred_at, time="late"))
    assert abs(resource.timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    with pytest.raises(EventRejectedError):
        parse(build_event("Model Deleted", {"id": "no UUID"}, occurred_at))


@pytest.mark.parametrize(
    "leap_second",
    [
        "2016-12-31T23:59:60Z",
        "2016-12-31t23:59:60z",
        "2016-12-31T23:59:60.5Z",
        "2015-06-30T18:59:60-05:00",
        "2015-07-01T05:29:60+05:30",
    ],
)
def test_leap_second(leap_second: str) -> None:
    """It comes after all other times of its minute and before the next minute."""
    minute = leap_second.partition(":60")[0]
    offset = leap_second.partition(":60")[2].lstrip(".5")
    _, resource = parse(build_event("Model Updated", RESOURCE, leap_second))
    for second, is_earlier in (("59.999999", True), ("59.999999999", True)):
        _, other = parse(build_event("Model Updated", RESOURCE, f"{minute}:{second}{offset}"))
        assert (other.version < resource.version) == is_earlier
    following = datetime.fromisoformat(f"{minute}:00{offset}".upper()) + timedelta(minutes=1)
    _, after = parse(build_event("Model Updated", RESOURCE, following.isoformat()))
    assert resource.version < after.version


@pytest.mark.parametrize(
    "invalid",
    [
        "2016-12-31T23:59:61Z",
        "2016-12-31T23:58:60Z",
        "2016-12-31T23:59:60",
        "0001-01-01T00:00:60+00:01",
        "9999-12-31T23:59:60-23:59",
    ],
)
def test_no_leap_second(invalid: str) -> None:
    with pytest.raises(EventRejectedError, match="occurred_at"):
        parse(build_event("Model Updated", RESOURCE, invalid))


def test_time_in_the_future() -> None:
    for hours, accepted in ((23, True), (25, False), (24 * 365 * 1000, False)):
        body = build_event("Model Updated", RESOURCE, (datetime.now(UTC) + timedelta(hours=hours)).isoformat())
        if accepted:
            assert parse(body)
        else:
            with pytest.raises(EventRejectedError, match="future"):
                parse(body)


def test_reason_does_not_contain_the_event() -> None:
    for body in (
        build_event("ada@example.com Created", RESOURCE),
        build_event("Model Created", RESOURCE | {"id": "ada@example.com"}),
        build_event("Model Created", RESOURCE, "ada@example.com"),
        "ada@example.com",
    ):
        with pytest.raises(EventRejectedError) as error:
            parse(body)
        assert "ada" not in str(error.value)
