"""Races between two operations: the result is the same as if they ran one after the other.

The tests call the domain, without HTTP. The second operation runs before each call of the first to AWS in turn.
"""

import itertools
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projects_api.domain import members, ownership, projects, resources, upload_completion, uploads, users
from projects_api.domain.exports import export_requests
from projects_api.domain.resource_versions import Change, resource_from_event
from projects_api.domain.uploads import NewFile, PartPage
from projects_api.entities.errors import ProjectsError, UploadBusyError
from projects_api.entities.idempotency import IdempotentRequest
from projects_api.entities.ids import ProjectId, ResourceId
from projects_api.entities.project import Caller, Role
from projects_api.entities.resource import Artifact, Resource, ResourceType
from projects_api.entities.upload import Upload
from projects_api.storage import clients
from projects_api.storage.s3 import bucket_cleanup
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupt_call
from tests.support.invariants import find_broken_invariants
from tests.support.uploads import put_part

#: The attributes that two states are compared by.
COMPARED_ATTRIBUTES = (
    "name",
    "description",
    "role",
    "status",
    "deleted",
    "member_count",
    "project_count",
    "dataset_count",
    "model_count",
    "report_count",
    "resource_count",
    "upload_count",
    "artifact_key",
)

#: What differs from run to run: ids, digests and times.
RANDOM_VALUES = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}|\d{4}-\d\d-\d\dT[\d:.]+Z")

#: The file of every upload. Its name gives it the same key for each upload to one resource.
CSV = NewFile("a.csv", 4, "text/csv", None)


@dataclass
class Scene:
    """A project that Alice owns and Bob edits, with a dataset and an uploaded report. Carol is no member.

    Attributes:
        app: The in-process app.
        people: The callers, by their nicks.
        project_ids: The created projects, the one described above first.
        items: The items of the table before any operation.
        report: The report.
        uploads: Bob's uploads with all their parts, by the operation that completes them.
        outcomes: The outcomes of two operations that ran one after the other.
        has_called_s3: Whether a function has called S3 since the file was restored. Otherwise S3 needs no look.
        read_items: The items of the table, if no operation has run since they were read.
    """

    app: InProcessApp
    people: dict[str, Caller]
    project_ids: list[ProjectId] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    report: Resource = field(init=False)
    uploads: dict[str, Upload] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], "Outcome"] = field(default_factory=dict)
    has_called_s3: bool = True
    read_items: list[dict[str, Any]] = field(default_factory=list)

    def on_s3_call(self, **_: Any) -> None:
        self.has_called_s3 = True

    @property
    def project_id(self) -> ProjectId:
        return self.project_ids[0]

    def set_up(self) -> None:
        self.create("Before", "")
        self.add("bob", Role.EDITOR)
        self.record(Change.CREATED, 10)
        self.complete(self.put_parts(self.start_upload("first")))
        self.items = self.app.find_items("")

    def restore(self, *operations: str) -> None:
        """Restore the state before the operations, with the uploads that they complete.

        To restore the items and the file takes fewer calls than to delete the projects and set up new ones.
        """
        del self.project_ids[1:]
        self.restore_items()
        self.restore_file()
        self.uploads = {name: self.put_parts(UPLOADS[name](self)) for name in UPLOADS if name in operations}

    def restore_items(self) -> None:
        current = self.read_items or self.app.find_items("")
        self.read_items = []
        kept = {(item["PK"]["S"], item["SK"]["S"]) for item in self.items}
        writes = [{"PutRequest": {"Item": item}} for item in self.items if item not in current]
        writes += [
            {"DeleteRequest": {"Key": {"PK": item["PK"], "SK": item["SK"]}}}
            for item in current
            if (item["PK"]["S"], item["SK"]["S"]) not in kept
        ]
        for batch in itertools.batched(writes, 25, strict=False):
            self.app.dynamodb.batch_write_item(RequestItems={self.app.stack.table: list(batch)})

    def restore_file(self) -> None:
        """Restore the only object, the file of the report, and abort all uploads in S3."""
        if not self.has_called_s3:
            return
        bucket = self.app.stack.artifacts
        bucket_cleanup.abort_uploads(bucket, "")
        if self.app.find_objects("") != [self.file_key]:
            bucket_cleanup.delete_objects(bucket, "")
            self.app.s3.put_object(Bucket=bucket, Key=self.file_key, Body=b"old")
        self.has_called_s3 = False

    @property
    def file_key(self) -> str:
        """The key of the report's file."""
        assert self.report.artifact
        return self.report.artifact.key

    def create(self, name: str, key: str) -> None:
        owner = self.people["alice"].user_id
        request = IdempotentRequest(owner, "POST /api/projects", key, {"name": name}) if key else None
        project = projects.create(self.people["alice"], name=name, description="", request=request)
        self.project_ids.append(project.id)

    def add(self, nick: str, role: Role) -> None:
        members.add(self.people["alice"].user_id, self.project_id, email=self.people[nick].email, role=role)

    def remove(self, caller: str, member: str) -> None:
        members.remove(self.people[caller].user_id, self.project_id, self.people[member].user_id)

    def transfer(self, nick: str) -> None:
        ownership.transfer(self.people["alice"].user_id, self.project_id, email=self.people[nick].email)

    def start_upload(self, key: str) -> PartPage:
        """Start Bob's upload of a new report. A repeat with the same key returns the same upload."""
        user_id = self.people["bob"].user_id
        return uploads.start_for_new_resource(
            user_id,
            self.project_id,
            type_=ResourceType.REPORT,
            name="Uploaded",
            fields={},
            file=CSV,
            request=IdempotentRequest(user_id, "POST /api/projects/{project_id}/resources", key, {}),
        )

    def start_replacement(self) -> PartPage:
        """Start Bob's upload of another file at the key of the report's file."""
        return uploads.start_for_existing_resource(
            self.people["bob"].user_id,
            self.project_id,
            self.report.id,
            type_=None,
            name="Replaced",
            fields={},
            file=CSV,
            request=None,
        )

    def put_parts(self, page: PartPage) -> Upload:
        for part in page.parts:
            assert part.url
            assert put_part(part.url, b"a,b\n").ok
        return page.upload

    def complete(self, upload: Upload) -> None:
        outcome = upload_completion.complete(upload.user_id, upload.id).outcome
        assert isinstance(outcome, Resource)
        if not self.items:
            self.report = outcome

    def create_model(self) -> None:
        user_id = self.people["bob"].user_id
        request = IdempotentRequest(user_id, "POST /api/projects/{project_id}/resources", "create", {})
        resources.create(user_id, self.project_id, type_=ResourceType.MODEL, name="Created", fields={}, request=request)

    def update_report(self, name: str, *, keep_file: bool) -> None:
        user_id = self.people["bob"].user_id
        resources.update(
            user_id, self.project_id, self.report.id, type_=None, name=name, fields={}, keep_file=keep_file
        )

    def announce_report(self, change: Change) -> None:
        """Record an event about the report from an hour after its upload, which names the uploaded file."""
        assert self.report.artifact
        artifact = Artifact(self.report.artifact.key, self.report.artifact.content_type)
        event = resource_from_event(
            id=self.report.id,
            type=self.report.type,
            change=change,
            name="Announced",
            occurred_at=self.report.timestamp + timedelta(hours=1),
            fields={},
            artifact=artifact if change is Change.UPDATED else None,
        )
        resources.record(self.project_id, [event])

    def record(self, change: Change, second: int, type_: ResourceType = ResourceType.DATASET) -> None:
        event = resource_from_event(
            id=ResourceId("r"),
            type=type_,
            change=change,
            name=f"{change.name} {second}",
            occurred_at=datetime(2026, 2, 10, 9, 0, second, tzinfo=UTC),
            fields={},
            artifact=None,
        )
        resources.record(self.project_id, [event])

    def read_state(self) -> Counter[str]:
        """Return the items of the table and the objects, with names instead of ids, and without times and revisions.

        It does not matter how many versions an object has: those that are not current expire.
        """
        self.read_items = items = self.app.find_items("")
        assert find_broken_invariants(items) == []
        texts = [f"object {key}" for key in set(self.app.find_objects("") if self.has_called_s3 else [self.file_key])]
        texts += [f"unfinished upload {key}" for key in (self.app.find_uploads("") if self.has_called_s3 else [])]
        for item in items:
            if item["PK"]["S"].startswith("ACTIVITY"):
                texts.append(" ".join(item[name]["S"] for name in ("action", "actor") if name in item))
                for state in ("before", "after"):
                    values = json.loads(item[state]["S"]) if state in item else {}
                    values.pop("timestamp", None)  # an entry has it unless both changes were in the same second
                    texts[-1] += f" {json.dumps(values)}"
                continue
            attributes = {name: next(iter(item[name].values())) for name in COMPARED_ATTRIBUTES if name in item}
            texts.append(f"{item['PK']['S']} {item['SK']['S']} {json.dumps(attributes)}")
        names: dict[str, str] = {person.user_id: nick for nick, person in self.people.items()}
        names |= {id_: f"project {number}" for number, id_ in enumerate(dict.fromkeys(self.project_ids))}
        names[self.report.id] = "report"

        def rename(value: re.Match[str]) -> str:
            return names.get(value[0], "?")

        return Counter(RANDOM_VALUES.sub(rename, text) for text in texts)


PROJECT_OPERATIONS: dict[str, Callable[[Scene], object]] = {
    "rename": lambda scene: projects.update(
        scene.people["bob"].user_id, scene.project_id, name="After", description=None
    ),
    "describe": lambda scene: projects.update(
        scene.people["alice"].user_id, scene.project_id, name="Described", description="In words"
    ),
    "delete": lambda scene: projects.delete(scene.people["alice"].user_id, scene.project_id),
    "create": lambda scene: scene.create("New", "k"),
    "add carol": lambda scene: scene.add("carol", Role.VIEWER),
    "change bob": lambda scene: scene.add("bob", Role.ADMIN),
    "remove bob": lambda scene: scene.remove("alice", "bob"),
    "transfer to bob": lambda scene: scene.transfer("bob"),
    "transfer to carol": lambda scene: ownership.transfer_by_operator(
        scene.project_id, email=scene.people["carol"].email
    ),
    "bob leaves": lambda scene: scene.remove("bob", "bob"),
    "record a model": lambda scene: scene.record(Change.CREATED, 20, ResourceType.MODEL),
    "update the dataset": lambda scene: scene.record(Change.UPDATED, 20),
    "update it earlier": lambda scene: scene.record(Change.UPDATED, 15),
    "delete the dataset": lambda scene: scene.record(Change.DELETED, 15),
    "export": lambda scene: export_requests.start(scene.people["bob"].user_id, scene.project_id),
    "demote bob": lambda scene: scene.add("bob", Role.VIEWER),
}

FILE_OPERATIONS: dict[str, Callable[[Scene], object]] = {
    "create a model": lambda scene: scene.create_model(),
    "rename the report": lambda scene: scene.update_report("Renamed", keep_file=True),
    "remove its file": lambda scene: scene.update_report("Without a file", keep_file=False),
    "delete the report": lambda scene: resources.delete(scene.people["bob"].user_id, scene.project_id, scene.report.id),
    "announce the report": lambda scene: scene.announce_report(Change.UPDATED),
    "announce its deletion": lambda scene: scene.announce_report(Change.DELETED),
    "start an upload": lambda scene: scene.start_upload("second"),
    "complete an upload": lambda scene: scene.complete(scene.uploads["complete an upload"]),
    "replace its file": lambda scene: scene.complete(scene.uploads["replace its file"]),
}

OPERATIONS = PROJECT_OPERATIONS | FILE_OPERATIONS

#: How the uploads start that operations complete.
UPLOADS: dict[str, Callable[[Scene], PartPage]] = {
    "complete an upload": lambda scene: scene.start_upload("third"),
    "replace its file": Scene.start_replacement,
}

#: The outcome of each of the two operations, and the items of the table afterwards.
type Outcome = tuple[str, str, Counter[str]]


def run_operation(scene: Scene, operation: str) -> str:
    try:
        OPERATIONS[operation](scene)
    except ProjectsError as error:
        return type(error).__name__
    return "done"


@pytest.fixture(scope="module")
def scene(app: InProcessApp) -> Iterator[Scene]:
    scene = Scene(app, {})
    for nick in ("alice", "bob", "carol"):
        user = users.register(f"{nick}-{uuid.uuid4()}@example.com", nick)
        scene.people[nick] = Caller(user.id, user.email, user.name)
    scene.set_up()
    events = clients.s3().meta.events
    events.register("before-call.s3", scene.on_s3_call)
    yield scene
    events.unregister("before-call.s3", scene.on_s3_call)
    for source in app.stack.event_sources:
        app.sqs.purge_queue(QueueUrl=source.queue_url)


def run_sequentially(scene: Scene, first: str, second: str) -> Outcome:
    """Run two operations one after the other, unless the test of the reversed pair has."""
    if (first, second) not in scene.outcomes:
        scene.restore(first, second)
        scene.outcomes[first, second] = run_operation(scene, first), run_operation(scene, second), scene.read_state()
    return scene.outcomes[first, second]


def run_interrupted(scene: Scene, first: str, second: str, number: int) -> Outcome | None:
    """Run `second` right before call `number` of `first`. Return None if `first` makes fewer calls.

    An upload that has to wait for another change of the same file is completed again afterwards.
    """
    scene.restore(first, second)
    second_outcomes: list[str] = []
    with interrupt_call(number, lambda: second_outcomes.append(run_operation(scene, second))):
        first_outcome = run_operation(scene, first)
    if not second_outcomes:
        return None
    if first_outcome == UploadBusyError.__name__:
        first_outcome = run_operation(scene, first)
    if second_outcomes == [UploadBusyError.__name__]:
        second_outcomes = [run_operation(scene, second)]
    return first_outcome, second_outcomes[0], scene.read_state()


#: Operations on a file and on its project that write the same item.
MIXED_PAIRS = [
    ("create a model", "delete"),
    ("create a model", "demote bob"),
    ("rename the report", "delete"),
    ("delete the report", "delete"),
    ("start an upload", "delete"),
    ("complete an upload", "delete"),
    ("complete an upload", "demote bob"),
    ("complete an upload", "remove bob"),
    ("replace its file", "delete"),
]

#: The mixed pairs, and all pairs of operations of one kind.
PAIRS = [
    *MIXED_PAIRS,
    *itertools.product(PROJECT_OPERATIONS, repeat=2),
    *itertools.product(FILE_OPERATIONS, repeat=2),
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[" meets ".join(pair) for pair in PAIRS])
def test_interrupted_operation(scene: Scene, first: str, second: str) -> None:
    """Both operations end as if one of them had run before the other."""
    reversed_outcome = run_sequentially(scene, second, first)
    possible = [run_sequentially(scene, first, second), (reversed_outcome[1], reversed_outcome[0], reversed_outcome[2])]
    for number in itertools.count(1):
        outcome = run_interrupted(scene, first, second, number)
        if outcome is None:
            break
        assert outcome in possible, f"{second}, before call {number} of {first}"
