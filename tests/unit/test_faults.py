"""Faults: every call of every function, in turn throttled, not answered, refused, or the last thing that it did.

The client sees an error in JSON that tells nothing of the inside, or the right answer; and who repeats the request
gets to where they would have been without the fault.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from projects_api.domain.exports import export_requests
from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import sqs
from projects_api.storage.dynamodb import keys
from tests.support.api_client import Answer, Client
from tests.support.fault_injection import Fault, network
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import DeathError
from tests.support.moto_snapshot import Snapshot

pytestmark = pytest.mark.memory

RESOURCE = "00000000-0000-4000-8000-000000000001"
AT = "2026-02-10T09:00:00Z"


@dataclass
class Scene:
    """Users, and a project of Alice's with Bob as its editor, a dataset that has a file, and an experiment."""

    app: InProcessApp
    alice: Client
    bob: Client
    carol: Client
    project_id: str
    url: str


def scene(app: InProcessApp) -> Scene:
    alice, bob, carol = app.user("alice"), app.user("bob"), app.user("carol")
    project_id = alice.create("Project", description="d")
    url = f"/api/projects/{project_id}"
    alice.post(f"{url}/members", {"email": bob.email})
    artifact = app.store(project_id, "datasets/a.csv", b"a,b\n")
    app.announce("Dataset Created", project_id, {"id": RESOURCE, "name": "a.csv", "artifact": artifact}, AT)
    app.process_queues()
    return Scene(app, alice, bob, carol, project_id, url)


#: Does something that may be repeated, and says what the answer was.
type Act = Callable[[], Any]


def listing(s: Scene) -> Act:
    return lambda: s.alice.get("/api/projects")


def searching(s: Scene) -> Act:
    return lambda: s.alice.get("/api/projects?search=p")


def creating(s: Scene) -> Act:
    return lambda: s.alice.post("/api/projects", {"name": "New"}, Idempotency_Key="once")


def getting(s: Scene) -> Act:
    return lambda: s.alice.get(s.url)


def updating(s: Scene) -> Act:
    return lambda: s.alice.put(s.url, {"name": "Other"})


def deleting(s: Scene) -> Act:
    return lambda: s.alice.delete(s.url)


def listing_members(s: Scene) -> Act:
    return lambda: s.alice.get(f"{s.url}/members")


def adding(s: Scene) -> Act:
    return lambda: s.alice.post(f"{s.url}/members", {"email": s.carol.email})


def changing_a_role(s: Scene) -> Act:
    return lambda: s.alice.post(f"{s.url}/members", {"email": s.bob.email, "role": "viewer"})


def removing(s: Scene) -> Act:
    return lambda: s.alice.delete(f"{s.url}/members/{s.bob.user_id}")


def reading_the_timeline(s: Scene) -> Act:
    return lambda: s.alice.get(f"{s.url}/timeline")


def starting_an_export(s: Scene) -> Act:
    return lambda: s.alice.post(f"{s.url}/exports")


def listing_exports(s: Scene) -> Act:
    export(s)
    return lambda: s.alice.get(f"{s.url}/exports")


def getting_an_export(s: Scene) -> Act:
    export_id = export(s)
    return lambda: s.alice.get(f"{s.url}/exports/{export_id}")


def downloading(s: Scene) -> Act:
    export(s)
    return lambda: s.alice.get(f"{s.url}/export")


def export(s: Scene) -> str:
    """A ready export's id."""
    export_id: str = s.alice.post(f"{s.url}/exports")["export"]["id"]
    s.app.process_queues()
    return export_id


def recording(s: Scene, change: str, **resource: Any) -> Act:
    detail = {
        "project_id": s.project_id,
        "occurred_at": "2026-02-11T09:00:00Z",
        "resource": {"id": RESOURCE, "name": "b.csv", **resource},
    }
    return work(s, "RecordResource", {"detail-type": change, "detail": detail})


def recording_a_new_resource(s: Scene) -> Act:
    return recording(s, "Model Created")


def recording_an_update(s: Scene) -> Act:
    return recording(s, "Dataset Updated", rows=3)


def recording_a_deletion(s: Scene) -> Act:
    return recording(s, "Dataset Deleted")


def recording_several(s: Scene) -> Act:
    other = s.alice.create("Other")

    def said(project_id: str, number: int) -> str:
        resource = {"id": f"{RESOURCE[:-1]}{number}", "name": "m"}
        return json.dumps(s.app.event("Model Created", project_id, resource, AT))

    bodies = [said(s.project_id, 2), said(other, 3), said(s.project_id, 4), '{"no": "event"}', said(s.project_id, 5)]
    return lambda: s.app.deliver(bodies)


def setting_an_event_aside(s: Scene) -> Act:
    return recording(s, "Dataset Mislaid")


def purging(s: Scene) -> Act:
    export(s)
    s.alice.delete(s.url)
    return work(s, "PurgeProject", {"project_id": s.project_id})


def work(s: Scene, function: str, body: Any) -> Act:
    return lambda: s.app.deliver([body], function)


def scheduling(s: Scene) -> Act:
    return lambda: s.app.invoke("ScheduleExports", {})


def resuming(s: Scene) -> Act:
    with pytest.MonkeyPatch.context() as patch:
        for send in ("send_export", "send_purge"):
            patch.setattr(sqs, send, lambda *_, **__: None)
        s.alice.post(f"{s.url}/exports")
        other = s.alice.create("Other")
        s.alice.delete(f"/api/projects/{other}")

    return s.app.resume_stalled


def registering(s: Scene) -> Act:
    return lambda: s.app.invoke("RegisterUser", {"email": "dora@example.com", "name": "Dora"})


def issuing_a_key(s: Scene) -> Act:
    return lambda: s.app.invoke("CreateApiKey", {"email": s.alice.email, "scopes": ["read"]})


def revoking_a_key(s: Scene) -> Act:
    return lambda: s.app.invoke("RevokeApiKey", {"key_id": s.bob.api_key.split("_")[1]})


#: What is done, by which function, and what a repeat may be answered where the first time took effect already.
ACTS: list[tuple[str, Callable[[Scene], Act], int]] = [
    ("Authorize", getting, 200),
    ("ListProjects", listing, 200),
    ("ListProjects", searching, 200),
    ("CreateProject", creating, 201),
    ("GetProject", getting, 200),
    ("UpdateProject", updating, 200),
    ("DeleteProject", deleting, 404),
    ("ListMembers", listing_members, 200),
    ("AddMember", adding, 200),
    ("AddMember", changing_a_role, 200),
    ("RemoveMember", removing, 404),
    ("GetTimeline", reading_the_timeline, 200),
    ("GetArchive", downloading, 200),
    ("StartExport", starting_an_export, 202),
    ("ListExports", listing_exports, 200),
    ("GetExport", getting_an_export, 200),
    ("RecordResource", recording_a_new_resource, 0),
    ("RecordResource", recording_an_update, 0),
    ("RecordResource", recording_a_deletion, 0),
    ("RecordResource", setting_an_event_aside, 0),
    ("RecordResource", recording_several, 0),
    ("PurgeProject", purging, 0),
    ("ScheduleExports", scheduling, 0),
    ("ResumeStalled", resuming, 0),
    ("RegisterUser", registering, 0),
    ("CreateApiKey", issuing_a_key, 0),
    ("RevokeApiKey", revoking_a_key, 0),
]

#: What happens at least once, and is there again after a repeat: a message, and a key whose text nobody has seen.
TWICE = {setting_an_event_aside, recording_several, issuing_a_key}

#: An act of a job or an operator is answered by what its function returns, or by its error.
FAILED = "failed"


def answer_of(act: Act) -> Any:
    """The status of an answer of the API, or what a function returned; ``FAILED`` where it failed or died."""
    try:
        answer = act()
    except (DeathError, StorageUnavailableError, ClientError):
        return FAILED
    if isinstance(answer, list):  # the messages that are wanted again
        return FAILED if answer else "done"
    if not isinstance(answer, Answer):
        return FAILED if answer.get("failed") else "done"
    if answer.status >= 400:
        assert isinstance(answer.json.get("detail", answer.json.get("message")), str), answer
        assert not re.search(rb"Traceback|botocore|arn:|Error\b|PROJECT#|\.py", answer.body), answer
    if answer.status == 503:
        assert int(answer.headers["Retry-After"]) > 0
    return answer.status


def settle(app: InProcessApp) -> None:
    """Lets everything that was begun end, as it does in time by itself."""
    app.process_queues()
    if any(item.get("pending_work", {}).get("S", "DUE")[:3] != "DUE" for item in app.items("")):
        app.resume_stalled()
        app.process_queues()


def state(s: Scene) -> Counter[str]:
    """All there is of a scene, without what differs from one time to the next: ids, times, revisions."""

    def alike(text: str) -> str:
        text = text.replace(s.project_id, "PROJECT")
        for pattern, label in (
            (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
            (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
            (r"(DUE|EXPORT|PURGE)#\d", r"\1"),
            (r"#[0-9a-f]{16}\b", "#DIGEST"),
            (r'"(secret_sha256|revision|expires_at|size_bytes|bytes_\w+)": \{[^}]*\}', r'"\1"'),
            (r"APIKEY#[0-9a-f]{16}|(?<=\"id\": \{\"S\": \")[0-9a-f]{16}", "APIKEY"),
        ):
            text = re.sub(pattern, label, text)
        return text

    app = s.app
    items = [json.dumps(item, sort_keys=True) for item in app.items("")]
    letters = [json.dumps(letter) for letter in app.dead_letters()]
    return Counter(map(alike, items + letters + app.objects("")))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an archive, and what is to be done lies in one shard, since all are read alike."""
    monkeypatch.setattr(export_requests, "WAIT", 0.0)
    monkeypatch.setattr(keys, "PENDING_WORK_SHARDS", 1)


@pytest.fixture(scope="module")
def cells() -> Iterator[Counter[str]]:
    counted: Counter[str] = Counter()
    yield counted
    print(f"\n{counted.total()} faults in the calls of {len(counted)} functions: {dict(counted)}")


@pytest.mark.parametrize(("function", "begin", "repeated"), ACTS, ids=[act.__name__ for _, act, _ in ACTS])
def test_a_fault_in_any_call_is_told_plainly_and_mended_by_a_repeat(
    app: InProcessApp, cells: Counter[str], function: str, begin: Callable[[Scene], Act], repeated: int
) -> None:
    app.forget()
    of = scene(app)
    act = begin(of)
    snapshot = Snapshot(app)
    with network(app, function) as seen:
        right = answer_of(act)
    assert right != FAILED
    assert seen.calls
    settle(app)
    wanted = state(of)
    for number, call in enumerate(seen.calls):
        for fault in Fault:
            if fault is Fault.CONFLICTS and call not in {"TransactWriteItems", "UpdateItem"}:
                continue
            cell = f"{function}: call {number}, {call}: {fault.value}"
            snapshot.restore()
            with network(app, function, fails=number, fault=fault):
                answer = answer_of(act)
            cells[function] += 1
            if fault.passes:
                assert answer == right, cell
            again = answer_of(act)
            assert again in {right, repeated or "done"}, cell
            settle(app)
            found = state(of)
            assert (found.keys() == wanted.keys()) if begin in TWICE else (found == wanted), cell
