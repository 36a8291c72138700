"""Crashes of functions while uploads are completed, deleted and aborted."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from projects_api.storage.dynamodb import keys
from tests.support.api_client import Response
from tests.support.fault_injection import READ_PREFIXES, Fault, inject_fault
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import CrashError
from tests.support.uploads import BODY, complete, put_parts, start_upload, upload_file


@pytest.fixture
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use one shard for pending work: all shards are read in the same way."""
    monkeypatch.setattr(keys, "PENDING_WORK_SHARDS", 1)


def list_versions(app: InProcessApp, project_id: str) -> list[str]:
    """Return the keys of a project's artifacts, one for each version."""
    page = app.s3.list_object_versions(Bucket=app.stack.artifacts, Prefix=f"projects/{project_id}/")
    return [version["Key"] for version in (*page.get("Versions", []), *page.get("DeleteMarkers", []))]


#: The faults that stop a function after a call, or hide from it that the call took effect.
CRASHES = (Fault.CRASH_AFTER, Fault.RESPONSE_LOST)


def inject_crashes[T](
    app: InProcessApp, counts: Counter[str], function: str, prepare: Callable[[], T], act: Callable[[T], object]
) -> Iterator[tuple[str, T]]:
    """Run an action with each fault at each call that writes, and count the faults.

    A read changes nothing: a crash at it is the same as one after the last write.

    Args:
        app: The in-process app.
        counts: Counts the faults by the operation of the call.
        function: The function that the action invokes.
        prepare: Prepares what the action works on.
        act: The action.

    Yields:
        The name of the case, and what ``prepare`` returned, after the action has failed.
    """
    with inject_fault(app, function) as network:
        act(prepare())
    for number, operation in enumerate(network.calls):
        for fault in () if operation.startswith(READ_PREFIXES) else CRASHES:
            prepared = prepare()
            with inject_fault(app, function, failing_call=number, fault=fault), suppress(CrashError):
                act(prepared)
            counts[operation] += 1
            yield f"call {number}, {operation}: {fault.value}", prepared


@pytest.fixture
def counts() -> Iterator[Counter[str]]:
    counted: Counter[str] = Counter()
    yield counted
    print(f"\n{counted.total()} faults: {dict(counted)}")


@pytest.mark.exhaustive
@pytest.mark.usefixtures("one_shard")
@pytest.mark.memory
@pytest.mark.parametrize("by", ["a repeat", "the recovery job"])
def test_crash_while_completing(app: InProcessApp, counts: Counter[str], by: str) -> None:
    """After a fault at any call of completing, there is exactly one resource, and its announcement was made."""
    receive_events = app.listen()

    def prepare() -> tuple[str, Any]:
        project_id = alice.create()
        upload = start_upload(alice, f"/api/projects/{project_id}/resources")
        put_parts(upload, BODY)
        receive_events()
        return project_id, upload

    app.reset()
    alice = app.create_user("alice")
    crashes = inject_crashes(app, counts, "CompleteUpload", prepare, lambda prepared: complete(alice, prepared[1]))
    for case, (project_id, upload) in crashes:
        if by == "a repeat" or not alice.get(f"/api/projects/{project_id}/resources")["items"]:
            if by == "the recovery job":
                app.resume_stalled()
            assert complete(alice, upload).status == 201, case
        app.resume_stalled()
        (item,) = alice.get(f"/api/projects/{project_id}/resources")["items"]
        assert item["id"] == upload["resource_id"], case
        assert alice.get(f"/api/projects/{project_id}")["project"]["dataset_count"] == 1, case
        events = [event for event in receive_events() if event["detail"]["project_id"] == project_id]
        assert {event["detail-type"] for event in events} == {"Dataset Created"}, case
        assert len({event["detail"]["announcement_id"] for event in events}) == 1, case
        assert len(list_versions(app, project_id)) == 1, case
    assert app.find_broken_invariants() == []
    assert not app.find_items("ANNOUNCEMENT#")


@pytest.mark.exhaustive
@pytest.mark.usefixtures("one_shard")
@pytest.mark.memory
@pytest.mark.parametrize("how", ["delete", "remove the file"])
def test_crash_while_deleting(app: InProcessApp, counts: Counter[str], how: str) -> None:
    """After a fault at any call of deleting, the file is deleted in the end, and the change is announced."""
    app.reset()
    alice = app.create_user("alice")
    receive_events = app.listen()
    function = "DeleteResource" if how == "delete" else "UpdateResource"

    def prepare() -> tuple[str, str]:
        project_id = alice.create()
        resource = upload_file(alice, project_id, "a.csv", BODY)
        receive_events()
        return project_id, f"/api/projects/{project_id}/resources/{resource['id']}"

    def act(resource_url: str) -> Response:
        if how == "delete":
            return alice.delete(resource_url)
        return alice.put(resource_url, {"name": "a.csv", "file": None})

    crashes = inject_crashes(app, counts, function, prepare, lambda prepared: act(prepared[1]))
    for case, (project_id, resource_url) in crashes:
        assert act(resource_url).status in {200, 404}, case
        app.resume_stalled()
        app.resume_stalled()
        assert list_versions(app, project_id) == [], case
        events = [event for event in receive_events() if event["detail"]["project_id"] == project_id]
        expected = "Dataset Deleted" if how == "delete" else "Dataset Updated"
        assert {event["detail-type"] for event in events} == {expected}, case
    assert app.find_broken_invariants() == []
    assert not app.find_items("ANNOUNCEMENT#", '"FILE#')


@pytest.mark.exhaustive
@pytest.mark.usefixtures("one_shard")
@pytest.mark.memory
def test_crash_while_aborting(app: InProcessApp, counts: Counter[str]) -> None:
    """After a fault at any call of aborting, nothing of the upload remains."""
    app.reset()
    alice, bob = app.create_user("alice"), app.create_user("bob")

    def prepare() -> tuple[str, Any]:
        project_id = alice.create()
        members = f"/api/projects/{project_id}/members"
        alice.post(members, {"email": bob.email, "role": "editor"})
        upload = start_upload(bob, f"/api/projects/{project_id}/resources")
        put_parts(upload, BODY)
        alice.post(members, {"email": bob.email, "role": "viewer"})
        return project_id, upload

    crashes = inject_crashes(app, counts, "CompleteUpload", prepare, lambda prepared: complete(bob, prepared[1]))
    for case, (project_id, upload) in crashes:
        assert complete(bob, upload).status in {403, 404}, case
        app.resume_stalled()
        assert complete(bob, upload).status == 404, case
        assert app.find_uploads(project_id) == [], case
        assert list_versions(app, project_id) == [], case
    assert app.find_broken_invariants() == []
