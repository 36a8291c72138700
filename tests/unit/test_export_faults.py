"""Fault injection into the export worker: calls to AWS fail, or the project is deleted during the export.

An export becomes ready with the same bytes as without the fault, or fails with a clear error. Neither leaves an upload
or a temporary object.
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
from tests.support.export_runs import RUNS_UNTIL_FAILURE
from tests.support.fault_injection import READ_PREFIXES, Fault, inject_fault
from tests.support.in_process_app import InProcessApp
from tests.support.moto_snapshot import StorageSnapshot

pytestmark = [pytest.mark.memory, pytest.mark.exhaustive]

#: The faults that the worker can tell apart. tests/unit/test_storage_errors.py proves that the others look like these.
WRITE_FAULTS = (Fault.THROTTLED, Fault.RESPONSE_LOST, Fault.ACCESS_DENIED)

#: A read has no effect, so that it makes no difference whether AWS executed it.
READ_FAULTS = (Fault.THROTTLED, Fault.ACCESS_DENIED)

ERROR = "The archive could not be assembled. Start a new export, and tell an operator."


@dataclass
class PendingExport:
    """A pending export of a project with files that become copied parts, buffered parts and nothing.

    Attributes:
        app: The in-process app.
        alice: The project's owner.
        project_id: The project.
        export_id: The export.
        receive_events: Returns the events on the bus since the last call.
        snapshot: The table and buckets before the export's first run.
    """

    app: InProcessApp
    alice: Client
    project_id: str
    export_id: str
    receive_events: Callable[[], list[Any]]
    snapshot: StorageSnapshot = field(init=False)

    def __post_init__(self) -> None:
        self.snapshot = StorageSnapshot(self.app)

    def deliver(self) -> bool:
        """Deliver the export's message to the worker. Return whether the worker wants the message again."""
        message = {"project_id": self.project_id, "export_id": self.export_id}
        return bool(self.app.deliver([message], "AssembleExport"))

    @property
    def url(self) -> str:
        return f"/api/projects/{self.project_id}/exports/{self.export_id}"

    def delete(self) -> None:
        """Delete the project, and run its purge once."""
        assert self.alice.delete(f"/api/projects/{self.project_id}").status == 200
        self.purge()

    def purge(self) -> None:
        self.app.deliver([{"project_id": self.project_id}], "PurgeProject")

    def get_export(self) -> Any:
        return self.alice.get(self.url)["export"]

    def read_archive(self) -> bytes:
        """Return the archive of the ready export."""
        export = self.get_export()
        assert export["status"] == "ready", export
        key = f"{self.project_id}/{self.export_id}.zip"
        return bytes(self.app.s3.get_object(Bucket=self.app.stack.exports, Key=key)["Body"].read())

    def find_leftovers(self) -> list[str]:
        """Return the uploads in the exports bucket and the temporary objects of the export."""
        uploads = self.app.s3.list_multipart_uploads(Bucket=self.app.stack.exports).get("Uploads", [])
        temporary = [
            key
            for key in self.app.find_objects(f"{self.project_id}/{self.export_id}")
            if not key.endswith((".zip", ".index.gz"))
        ]
        return [f"upload of {upload['Key']}" for upload in uploads] + temporary

    def restore(self) -> None:
        """Restore the state before the export's first run."""
        s3, bucket = self.app.s3, self.app.stack.exports
        for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        self.snapshot.restore()
        self.receive_events()


@pytest.fixture
def export(app: InProcessApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[PendingExport]:
    app.reset()
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "MIN_PART_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "BUFFERED_PART_SIZE", 8 << 10)
    monkeypatch.setattr(planning, "MAX_GATHERED_SIZE", 1 << 10)
    monkeypatch.setattr("time.sleep", lambda _: None)
    alice = app.create_user("alice")
    project_id = alice.create("Project")
    for name, body in (("models/m.bin", b"m" * (11 << 10)), ("data/a.csv", b"a,b\n" * 100), ("data/empty", b"")):
        artifact = app.store_artifact(project_id, name, body)
        resource = {"id": str(uuid.uuid4()), "name": name, "artifact": artifact}
        app.publish_event("Model Created", project_id, resource, "2026-02-12T08:00:00Z")
    app.process_queues()
    export_id = alice.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    pending_export = PendingExport(app, alice, project_id, export_id, app.listen())
    yield pending_export
    pending_export.restore()
    app.process_queues()


@pytest.fixture
def expired_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every lease expire immediately, so that the next run need not wait for a lease that was not released."""
    monkeypatch.setattr(export_worker, "LEASE", timedelta(seconds=-1))


@pytest.mark.usefixtures("expired_lease")
def test_fault_in_any_call(export: PendingExport) -> None:
    """The export becomes ready in a later run, with the same bytes."""
    with inject_fault(export.app, "AssembleExport") as network:
        assert not export.deliver()
    expected = export.read_archive()
    cases = 0
    for number, operation in enumerate(network.calls):
        for fault in READ_FAULTS if operation.startswith(READ_PREFIXES) else WRITE_FAULTS:
            cases += 1
            case = f"call {number}, {operation}: {fault.value}"
            export.restore()
            with inject_fault(export.app, "AssembleExport", failing_call=number, fault=fault) as faulty:
                export.deliver()
            # threads and heartbeats vary the order and the number of calls
            if fault is Fault.ACCESS_DENIED and faulty.calls[number : number + 1] == ["GetObject"]:
                assert "cannot be read" in export.get_export()["error"], case
                assert export.find_leftovers() == [], case
                continue
            assert export.get_export()["status"] in {"pending", "running", "ready"}, case
            assert not export.deliver(), case
            assert export.read_archive() == expected, case
            assert export.find_leftovers() == [], case
            assert export.receive_events()[-1]["detail-type"] == "Project Export Ready", case
    print(f"\n{cases} faults in {len(network.calls)} calls")


@pytest.mark.usefixtures("expired_lease")
@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.ACCESS_DENIED], ids=lambda fault: fault.name)
def test_operation_that_always_fails(export: PendingExport, fault: Fault) -> None:
    """The export fails with a clear error if the archive needs the operation, and becomes ready otherwise."""
    with inject_fault(export.app, "AssembleExport") as network:
        export.deliver()
    expected, failed_operations = export.read_archive(), set()
    for operation in sorted(set(network.calls)):
        export.restore()
        with inject_fault(export.app, "AssembleExport", failing_call=operation, fault=fault):
            for _ in range(RUNS_UNTIL_FAILURE):
                export.deliver()
        while export.deliver():  # the fault is over, and the outcome can be written now
            pass
        described = export.get_export()
        if described["status"] == "failed":
            failed_operations.add(operation)
            if operation == "GetObject" and fault is Fault.ACCESS_DENIED:  # of an artifact
                assert "Allow this service to read it" in described["error"], operation
            else:
                assert described["error"] == ERROR, operation
            assert described["download_url"] is None, operation
        else:
            assert export.read_archive() == expected, operation
        assert export.find_leftovers() == [], operation
    assert {"UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "CreateMultipartUpload"} <= failed_operations
    assert not {"PutEvents", "AbortMultipartUpload"} & failed_operations


@pytest.mark.parametrize("lease", [30, -1], ids=["valid lease", "expired lease"])
def test_project_deleted_before_any_call(export: PendingExport, monkeypatch: pytest.MonkeyPatch, lease: int) -> None:
    """Nothing of the project remains, and a repeated message restores nothing."""
    monkeypatch.setattr(export_worker, "LEASE", timedelta(seconds=lease))
    with inject_fault(export.app, "AssembleExport") as network:
        export.deliver()
    for number, operation in enumerate(network.calls):
        case = f"before call {number}, {operation}"
        export.restore()
        with inject_fault(export.app, "AssembleExport", failing_call=number, before_call=export.delete):
            export.deliver()
        assert export.alice.get(export.url).status == 404, case
        export.purge()
        export.deliver()
        assert export.app.find_items(export.project_id) == [], case
        assert export.app.find_objects(export.project_id) == [], case
        assert export.find_leftovers() == [], case
