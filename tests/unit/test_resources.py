"""Resources over HTTP: list, read, add, replace and delete them."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projects_api.domain.resource_fields import MAX_FIELDS_DEPTH, MAX_FIELDS_SIZE
from tests.support.api_client import Client
from tests.support.archives import download
from tests.support.in_process_app import InProcessApp
from tests.support.uploads import upload_file


@pytest.fixture
def project_id(alice: Client) -> str:
    return alice.create("Churn")


@pytest.fixture
def url(project_id: str) -> str:
    return f"/api/projects/{project_id}/resources"


def count(client: Client, project_id: str, type_: str = "dataset") -> int:
    return int(client.get(f"/api/projects/{project_id}")["project"][f"{type_}_count"])


def test_create_without_file(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """The resource is recorded immediately, counted, listed, in the timeline, and announced in the siblings' form."""
    receive_events = app.listen()
    fields = {"status": "completed", "duration": 84.5, "note": {"deep": [1, None]}}
    response = alice.post(url, {"type": "experiment", "name": " baseline ", "fields": fields})
    assert response.status == 201
    assert response["upload"] is None
    resource = response["resource"]
    assert resource["name"] == "baseline"
    assert resource["fields"] == fields
    assert resource["origin"] is None
    assert resource["artifact"] is None
    assert response.headers["Location"] == f"{url}/{resource['id']}"
    assert alice.get(f"{url}/{resource['id']}")["resource"] == resource
    assert alice.get(url)["items"] == [resource]
    (entry,) = alice.get(f"/api/projects/{project_id}/timeline")["events"]
    assert (entry["id"], entry["duration"]) == (resource["id"], 84.5)
    assert count(alice, project_id, "experiment") == 1
    (event,) = receive_events()
    assert (event["source"], event["detail-type"]) == ("mlplatform.projects", "Experiment Created")
    assert event["detail"]["announced_by"] == "projects"
    assert event["detail"]["resource"] == fields | {"id": resource["id"], "name": "baseline"}
    app.process_queues()
    assert app.take_dead_letters() == []
    assert app.find_broken_invariants() == []


def nest(depth: int) -> Any:
    """Return a list in ``depth`` - 1 other lists."""
    return [] if depth == 1 else [nest(depth - 1)]


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"name": "n"}, ["body", "type"]),
        ({"type": "notebook", "name": "n"}, ["body", "type"]),
        ({"type": "dataset", "name": "  "}, ["body", "name"]),
        ({"type": "dataset", "name": "a\x07b"}, ["body", "name"]),
        ({"type": "dataset", "name": "n" * 1025}, ["body", "name"]),
        ({"type": "dataset", "name": "n", "fields": {"rows": -1}}, ["body", "fields"]),
        ({"type": "dataset", "name": "n", "fields": {"rows": "many"}}, ["body", "fields"]),
        ({"type": "dataset", "name": "n", "fields": []}, ["body", "fields"]),
        ({"type": "experiment", "name": "n", "fields": {"duration": float("inf")}}, ["body"]),
        ({"type": "model", "name": "n", "fields": {"score": float("nan")}}, ["body"]),
        ({"type": "model", "name": "n", "fields": {"id": "x"}}, ["body", "fields", "id"]),
        ({"type": "model", "name": "n", "fields": {"artifact": {"key": "k"}}}, ["body", "fields", "artifact"]),
        ({"type": "model", "name": "n", "fields": {"text": "x" * MAX_FIELDS_SIZE}}, ["body", "fields"]),
        ({"type": "model", "name": "n", "fields": {"half": "\ud800"}}, ["body", "fields"]),
        ({"type": "model", "name": "n", "fields": {"deep": nest(MAX_FIELDS_DEPTH + 1)}}, ["body", "fields"]),
        ({"type": "model", "name": "n", "file": {"name": "m", "size_bytes": -1}}, ["body", "file", "size_bytes"]),
        ({"type": "model", "name": "n", "file": {"name": " ", "size_bytes": 1}}, ["body", "file", "name"]),
        (
            {"type": "model", "name": "n", "file": {"name": "m", "size_bytes": 1, "content_type": "a\r\nb: c"}},
            ["body", "file", "content_type"],
        ),
        (
            {"type": "model", "name": "n", "file": {"name": "m", "size_bytes": 1}, "part_size_bytes": 1},
            ["body", "part_size_bytes"],
        ),
    ],
)
def test_invalid_input(app: InProcessApp, alice: Client, url: str, body: Any, location: list[str]) -> None:
    """The response names the invalid value, and nothing is written."""
    before = app.find_items("")
    response = alice.post(url, body)
    assert response.status == 422, response
    assert location in [item["loc"] for item in response["detail"]]
    assert app.find_items("") == before


def test_nested_fields(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """Every route shows the deepest fields that are accepted. Deeper ones would make the lists fail."""
    fields = {"deep": nest(MAX_FIELDS_DEPTH)}
    created = alice.post(url, {"type": "model", "name": "n", "fields": fields}, Idempotency_Key="k")
    assert alice.post(url, {"type": "model", "name": "n", "fields": fields}, Idempotency_Key="k").json == created.json
    resource_id = str(uuid.uuid4())
    app.deliver([app.build_event("Model Created", project_id, {"id": resource_id, "name": "m"} | fields)])
    assert alice.put(f"{url}/{resource_id}", {"name": "o", "fields": fields}).status == 200
    deeper = {"deep": nest(MAX_FIELDS_DEPTH + 1)}
    app.deliver([app.build_event("Model Created", project_id, {"id": str(uuid.uuid4()), "name": "p"} | deeper)])
    (dead_letter,) = app.take_dead_letters()
    assert "nested more than" in str(dead_letter)
    assert [item["fields"] for item in alice.get(url)["items"]] == [fields, fields]
    assert alice.get(f"/api/projects/{project_id}/activity").status == 200
    assert len(alice.get(f"/api/projects/{project_id}/timeline")["events"]) == 2


def test_update(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """PUT replaces the name and the fields, and an equal request writes nothing."""
    body = {"type": "dataset", "name": "a", "fields": {"rows": 1, "note": "x"}}
    resource_id = alice.post(url, body)["resource"]["id"]
    receive_events = app.listen()
    changed = alice.put(f"{url}/{resource_id}", {"type": "dataset", "name": "b", "fields": {"rows": 2}})
    assert changed.status == 200
    assert changed["upload"] is None
    assert (changed["resource"]["name"], changed["resource"]["fields"]) == ("b", {"rows": 2})
    before = app.find_items(project_id)
    assert alice.put(f"{url}/{resource_id}", {"name": "b", "fields": {"rows": 2}})["resource"] == changed["resource"]
    assert app.find_items(project_id) == before
    assert [event["detail-type"] for event in receive_events()] == ["Dataset Updated"]
    assert alice.put(f"{url}/{resource_id}", {"type": "model", "name": "b"}).status == 422
    assert alice.put(f"{url}/{resource_id}", {"name": "b", "fields": {"rows": "x"}}).status == 422
    assert alice.put(f"{url}/{uuid.uuid4()}", {"name": "b"}).status == 404
    assert count(alice, project_id) == 1


def test_update_wins_over_an_event_from_the_future(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """A request changes the resource even if its last event is ahead of our clock."""
    resource_id = str(uuid.uuid4())
    ahead = (datetime.now(UTC) + timedelta(hours=23)).isoformat()
    detail = app.build_event("Dataset Created", project_id, {"id": resource_id, "name": "a"}, ahead)
    app.deliver([detail])
    assert alice.put(f"{url}/{resource_id}", {"name": "b"})["resource"]["name"] == "b"
    assert alice.get(f"{url}/{resource_id}")["resource"]["name"] == "b"


def test_delete_is_final(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """A deleted resource is gone, announced, and no event restores it."""
    resource_id = alice.post(url, {"type": "model", "name": "m"})["resource"]["id"]
    receive_events = app.listen()
    assert alice.delete(f"{url}/{resource_id}").json == {"ok": True}
    (event,) = receive_events()
    assert (event["detail-type"], event["detail"]["resource"]) == ("Model Deleted", {"id": resource_id})
    assert alice.get(f"{url}/{resource_id}").status == 404
    assert alice.delete(f"{url}/{resource_id}").status == 404
    app.publish_event("Model Updated", project_id, {"id": resource_id, "name": "m"}, "2026-12-31T00:00:00Z")
    app.process_queues()
    assert alice.get(url)["items"] == []
    assert count(alice, project_id, "model") == 0
    assert app.find_broken_invariants() == []


def test_list_pages_and_cursors(alice: Client, project_id: str, url: str) -> None:
    """Pages neither repeat nor skip, and a cursor belongs to one list, filter and order."""
    ids = [
        alice.post(url, {"type": ("dataset", "model")[number % 2], "name": f"n{number}"})["resource"]["id"]
        for number in range(5)
    ]
    seen, cursor = [], ""
    while cursor is not None:
        page = alice.get(f"{url}?limit=2{cursor and f'&cursor={cursor}'}")
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == ids
    assert [item["id"] for item in alice.get(f"{url}?order=desc&type=model")["items"]] == [ids[3], ids[1]]
    cursor = alice.get(f"{url}?limit=2")["next_cursor"]
    other = f"/api/projects/{alice.create()}/resources"
    for query in (
        f"{url}?order=desc&cursor={cursor}",
        f"{url}?type=dataset&cursor={cursor}",
        f"{url.replace('resources', 'timeline')}?cursor={cursor}",
        f"{other}?cursor={cursor}",
    ):
        assert alice.get(query).status == 422, query
    for query in ("limit=0", "limit=1001", "order=up", "type=x", "cursor=x"):
        assert alice.get(f"{url}?{query}").status == 422, query


def test_sibling_artifact(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """A sibling's file can be downloaded under its name, and deleting the resource leaves the file alone."""
    artifact = app.store_artifact(project_id, 'datasets/7/größe "1".csv', b"a,b\n1,2\n")
    resource_id = str(uuid.uuid4())
    app.publish_event("Dataset Created", project_id, {"id": resource_id, "name": "d", "artifact": artifact})
    app.process_queues()
    (listed,) = alice.get(url)["items"]
    assert listed["artifact"] == {
        "file_name": 'größe "1".csv',
        "size_bytes": None,
        "content_type": "application/octet-stream",
        "download_url": None,
        "download_url_expires_at": None,
    }
    read = alice.get(f"{url}/{resource_id}")["resource"]["artifact"]
    assert read["size_bytes"] == 8
    assert download(read["download_url"]) == b"a,b\n1,2\n"
    assert "filename" in read["download_url"]
    assert alice.delete(f"{url}/{resource_id}").status == 200
    assert app.find_objects(project_id) == [artifact["key"]]


@pytest.mark.parametrize("content_type", ["text/csv\r\nX-Evil: 1", "text/größe"])
def test_content_type_that_is_no_header(app: InProcessApp, alice: Client, url: str, content_type: str) -> None:
    """A sibling may announce any text. S3 would refuse to send it as a header, so the URL asks for a plain type."""
    project_id, resource_id = url.split("/")[3], str(uuid.uuid4())
    artifact = app.store_artifact(project_id, "d.csv", b"a") | {"content_type": content_type}
    app.deliver(
        [app.build_event("Dataset Created", project_id, {"id": resource_id, "name": "d", "artifact": artifact})]
    )
    read = alice.get(f"{url}/{resource_id}")["resource"]["artifact"]
    assert read["content_type"] == content_type
    assert "response-content-type=application%2Foctet-stream" in read["download_url"]
    assert download(read["download_url"]) == b"a"


def test_missing_artifact_has_no_url(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    resource_id = str(uuid.uuid4())
    artifact = {"key": f"projects/{project_id}/gone", "content_type": "text/csv"}
    app.deliver(
        [app.build_event("Dataset Created", project_id, {"id": resource_id, "name": "d", "artifact": artifact})]
    )
    read = alice.get(f"{url}/{resource_id}")["resource"]["artifact"]
    assert (read["file_name"], read["size_bytes"], read["download_url"]) == ("gone", None, None)


def test_same_id_in_two_types(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """Services choose ids, so two types can share one. PUT with a type selects the resource."""
    id_ = str(uuid.uuid4())
    app.deliver(
        [app.build_event(f"{type_} Created", project_id, {"id": id_, "name": type_}) for type_ in ("Model", "Dataset")]
    )
    assert alice.get(f"{url}/{id_}")["resource"]["type"] == "dataset"
    assert alice.put(f"{url}/{id_}", {"type": "model", "name": "x"})["resource"]["type"] == "model"
    alice.delete(f"{url}/{id_}")
    assert alice.get(f"{url}/{id_}")["resource"]["type"] == "model"


def test_idempotency_key(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """A repeat with the same key returns the first resource, and another body is rejected."""
    body = {"type": "report", "name": "r", "fields": {"pages": 3}}
    first = alice.post(url, body, Idempotency_Key="k")
    second = alice.post(url, body, Idempotency_Key="k")
    assert (second.status, second["resource"]) == (201, first["resource"])
    assert count(alice, project_id, "report") == 1
    assert alice.post(url, body | {"name": "other"}, Idempotency_Key="k").status == 422


def test_uploaded_file_goes_with_the_last_resource(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """A sibling's resource may name an uploaded file: the file stays until the last of both is deleted."""
    resource = upload_file(alice, project_id, "a.csv", b"a\n1\n")
    (key,) = app.find_objects(project_id)
    other = {"id": str(uuid.uuid4()), "name": "also", "artifact": {"key": key, "content_type": "text/csv"}}
    app.publish_event("Report Created", project_id, other)
    app.process_queues()
    assert alice.delete(f"{url}/{resource['id']}").status == 200
    app.resume_stalled()
    assert app.find_objects(project_id) == [key]
    app.publish_event("Report Deleted", project_id, {"id": other["id"]})
    app.process_queues()
    assert app.find_broken_invariants() == []
    app.resume_stalled()
    assert app.find_objects(project_id) == []
    assert not [item for item in app.find_items("FILE#") if project_id in json.dumps(item)]


def test_update_can_remove_the_file(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """Without ``file`` the resource keeps its file, and ``null`` removes it."""
    resource = upload_file(alice, project_id, "a.csv", b"a\n1\n")
    kept = alice.put(f"{url}/{resource['id']}", {"name": "renamed"})["resource"]
    assert kept["artifact"]["file_name"] == "a.csv"
    assert len(app.find_objects(project_id)) == 1
    assert alice.put(f"{url}/{resource['id']}", {"name": "renamed", "file": None})["resource"]["artifact"] is None
    assert app.find_objects(project_id) == []
    assert app.find_broken_invariants() == []


def test_write_key_gets_no_url(app: InProcessApp, alice: Client, project_id: str, url: str) -> None:
    """No response to a write contains a URL that reads data, and a GET needs the scope read."""
    resource = upload_file(alice, project_id, "a.csv", b"a\n1\n")
    assert resource["artifact"]["download_url"] is None
    changed = alice.put(f"{url}/{resource['id']}", {"name": "x"})
    assert changed["resource"]["artifact"]["download_url"] is None
    key = app.invoke("CreateApiKey", {"email": alice.email, "scopes": ["write"]})["api_key"]
    assert Client(app.send, key).get(f"{url}/{resource['id']}").status == 403
