"""Exports under fire: whatever AWS does to the worker, and whoever deletes the project meanwhile.

An export ends ready with the very bytes that it has in good weather, or failed with a sentence that is true. Neither
leaves an upload behind, nor what workers keep for each other.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from projects_api.archive import plan as planning
from projects_api.domain.exports import export_worker
from tests.support.api_client import Client
from tests.support.fault_injection import Fault, network
from tests.support.in_process_app import InProcessApp
from tests.support.moto_snapshot import Snapshot

pytestmark = pytest.mark.memory

FAULTS = [Fault.THROTTLED, Fault.ANSWER_LOST, Fault.FAILED, Fault.REFUSED]

#: What an export that can't be made says: what is so, and what to do. Nothing of the inside.
TOLD = "It could not be assembled. Export again, and tell an operator."


@dataclass
class Started:
    """An export that is to be assembled, of a project with files that are copied, gathered and empty."""

    app: InProcessApp
    alice: Client
    project_id: str
    export_id: str
    heard: Callable[[], list[Any]]
    snapshot: Snapshot = field(init=False)

    def __post_init__(self) -> None:
        self.snapshot = Snapshot(self.app)

    def deliver(self) -> bool:
        """Has the worker work on the export; returns whether it wants the message again."""
        message = {"project_id": self.project_id, "export_id": self.export_id}
        return bool(self.app.deliver([message], "AssembleExport"))

    @property
    def url(self) -> str:
        return f"/api/projects/{self.project_id}/exports/{self.export_id}"

    def delete(self) -> None:
        """Deletes the project, and has it purged as far as it can be."""
        assert self.alice.delete(f"/api/projects/{self.project_id}").status == 200
        self.purge()

    def purge(self) -> None:
        self.app.deliver([{"project_id": self.project_id}], "PurgeProject")

    def export(self) -> Any:
        return self.alice.get(self.url)["export"]

    def archive(self) -> bytes:
        """The archive of the export, which is ready."""
        export = self.export()
        assert export["status"] == "ready", export
        key = f"{self.project_id}/{self.export_id}.zip"
        return bytes(self.app.s3.get_object(Bucket=self.app.stack.exports, Key=key)["Body"].read())

    def left(self) -> list[str]:
        """What there is in the bucket of the project's exports beside archives: uploads, and what workers keep."""
        uploads = self.app.s3.list_multipart_uploads(Bucket=self.app.stack.exports).get("Uploads", [])
        kept = [key for key in self.app.objects(f"{self.project_id}/{self.export_id}") if not key.endswith(".zip")]
        return [f"an upload of {one['Key']}" for one in uploads] + kept

    def restore(self) -> None:
        """Goes back to when the export was started."""
        s3, bucket = self.app.s3, self.app.stack.exports
        for one in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])
        self.snapshot.restore()
        self.heard()


@pytest.fixture
def started(app: InProcessApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    app.forget()
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "MIN_PART_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "BUFFERED_PART_SIZE", 8 << 10)
    monkeypatch.setattr("time.sleep", lambda _: None)
    alice = app.user("alice")
    project_id = alice.create("Under fire")
    for name, body in (("models/m.bin", b"m" * (11 << 10)), ("data/a.csv", b"a,b\n" * 100), ("data/empty", b"")):
        artifact = app.store(project_id, name, body)
        resource = {"id": str(uuid.uuid4()), "name": name, "artifact": artifact}
        app.announce("Model Created", project_id, resource, "2026-02-12T08:00:00Z")
    app.process_queues()
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    made = Started(app, alice, project_id, export_id, app.listen())
    yield made
    made.restore()
    app.process_queues()


def test_a_fault_in_any_call_of_a_worker_delays_an_export_and_changes_no_byte_of_it(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        export_worker, "LEASE", timedelta(seconds=-1)
    )  # nobody waits for one that could not be given back
    with network(started.app, "AssembleExport") as seen:
        assert not started.deliver()
    expected = started.archive()
    for number, call in enumerate(seen.calls):
        for fault in FAULTS:
            cell = f"call {number}, {call}: {fault.value}"
            started.restore()
            with network(started.app, "AssembleExport", fails=number, fault=fault):
                started.deliver()
            assert started.export()["status"] in {"pending", "running", "ready"}, cell
            assert not started.deliver(), cell
            assert started.archive() == expected, cell
            assert started.left() == [], cell
            assert started.heard()[-1]["detail-type"] == "Project Export Ready", cell
    print(f"\n{len(seen.calls) * len(FAULTS)} faults in {len(seen.calls)} calls")


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.REFUSED])
def test_a_call_that_always_fails_fails_the_export_with_a_sentence_that_is_true(
    started: Started, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(export_worker, "LEASE", timedelta(seconds=-1))
    with network(started.app, "AssembleExport") as seen:
        started.deliver()
    expected, failed = started.archive(), set()
    for call in sorted(set(seen.calls)):
        started.restore()
        with network(started.app, "AssembleExport", fails=call, fault=fault):
            for _ in range(export_worker.ATTEMPTS + 1):
                started.deliver()
        while started.deliver():  # the fault is over, and what could not be written before is written now
            pass
        export = started.export()
        if export["status"] == "failed":
            failed.add(call)
            assert export["error"] == TOLD, call
            assert export["download_url"] is None, call
        else:
            assert started.archive() == expected, call
        assert started.left() == [], call
    assert {"UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "CreateMultipartUpload"} <= failed
    assert not {"PutEvents", "AbortMultipartUpload"} & failed


@pytest.mark.parametrize("lease", [30, -1], ids=["a lease that is kept", "a worker that is believed dead"])
def test_a_project_deleted_at_any_call_of_a_worker_leaves_nothing_and_nothing_comes_back(
    started: Started, monkeypatch: pytest.MonkeyPatch, lease: int
) -> None:
    monkeypatch.setattr(export_worker, "LEASE", timedelta(seconds=lease))
    with network(started.app, "AssembleExport") as seen:
        started.deliver()
    for number, call in enumerate(seen.calls):
        cell = f"before call {number}, {call}"
        started.restore()
        with network(started.app, "AssembleExport", fails=number, before=started.delete):
            started.deliver()
        assert started.alice.get(started.url).status == 404, cell
        started.purge()
        started.deliver()
        assert started.app.items(started.project_id) == [], cell
        assert started.app.objects(started.project_id) == [], cell
        assert started.left() == [], cell
