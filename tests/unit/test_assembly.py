"""What a worker makes of an export, whatever happens to it meanwhile."""

import base64
import contextlib
import io
import threading
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.stub import Stubber

from projects_api.archive import plan as planning
from projects_api.domain import assembly, making
from projects_api.domain.assembly import OutOfTimeError
from projects_api.model.errors import StorageUnavailableError
from projects_api.model.ids import ExportId, ProjectId
from projects_api.storage import artifacts, clients, reading
from projects_api.storage.artifacts import Pin
from tests.clients import Client
from tests.interruptions import DeathError
from tests.world import World


@dataclass
class Calls:
    """Every call to AWS, counted; and one of them at which the process dies, before or after it took effect."""

    deadly: int = 0
    before: bool = True
    at: Callable[[str], None] = lambda _: None
    count: int = 0
    dead: bool = False

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        self.count += 1
        dies = self.count == self.deadly
        self.dead = self.dead or (dies and self.before)
        if self.dead:
            raise DeathError
        self.at(name)
        answer = call()
        if dies:
            self.dead = True
            raise DeathError
        return answer


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[Calls], None]:
    """Has what follows go through ``Calls``."""
    through: list[Calls] = []
    make_api_call, send = BaseClient._make_api_call, reading._send  # type: ignore[attr-defined]

    def counted_call(client: BaseClient, name: str, parameters: Any) -> Any:
        return through[-1](name, lambda: make_api_call(client, name, parameters))

    def counted_send(request: Any) -> Any:
        return through[-1]("GetObject", lambda: send(request))

    monkeypatch.setattr(BaseClient, "_make_api_call", counted_call)
    monkeypatch.setattr(reading, "_send", counted_send)
    through.append(Calls())
    return through.append


@pytest.fixture(autouse=True)
def no_waiting_for_the_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "LEASE", timedelta(seconds=-1))


@pytest.fixture
def unit(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> int:
    """What the files are large in: MiB where S3 is real; KiB in memory, with limits of S3 that are as much smaller."""
    if pytestconfig.getoption("engines") == "real":
        return 1 << 20
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 5 << 10)
    monkeypatch.setattr(planning, "LEAST_PART", 5 << 10)
    monkeypatch.setattr(planning, "GATHERED_PART", 8 << 10)
    return 1 << 10


@dataclass
class Exported:
    """A project to be exported again and again."""

    world: World
    alice: Client
    project_id: str

    def start(self) -> str:
        """A new export of the project, whose content is what it was; its id."""
        for item in self.world.items(self.project_id):
            if item["SK"]["S"].startswith("EXPORT#"):
                key = {name: item[name] for name in ("PK", "SK")}
                boto3.client("dynamodb").delete_item(TableName=self.world.stack.table, Key=key)
        return str(self.alice.post(f"/api/projects/{self.project_id}/exports")["export"]["id"])

    def deliver(self, export_id: str) -> None:
        """Has the worker work on the export."""
        self.world.deliver([{"project_id": self.project_id, "export_id": export_id}], "AssembleExport")

    def export(self, export_id: str) -> Any:
        return self.alice.get(f"/api/projects/{self.project_id}/exports/{export_id}")["export"]

    def archive(self, export_id: str) -> bytes:
        """The archive, behind which nothing is left."""
        export = self.export(export_id)
        assert export["status"] == "ready", export
        s3, bucket = boto3.client("s3"), self.world.stack.exports
        key = f"{self.project_id}/{export_id}.zip"
        stem = f"{self.project_id}/{export_id}"
        assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=stem)["Contents"]] == [key]
        assert not s3.list_multipart_uploads(Bucket=bucket, Prefix=stem).get("Uploads")
        assert all("work" not in item for item in self.world.items(export_id) if item["SK"]["S"].startswith("EXPORT#"))
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        assert len(body) == export["size_bytes"]
        assert export["progress"]["bytes_done"] == export["progress"]["bytes_total"] == len(body)
        return bytes(body)


def contents(unit: int, large: int = 1) -> dict[str, bytes]:
    """Files whose archive has parts of each kind: copied, gathered, made last."""
    files = {f"models/{number}.bin": bytes([number]) * (11 * unit + number) for number in range(1, large + 1)}
    return files | {"data/a.csv": b"a,b\n" * 100, "data/empty": b"", "reports/z.md": b"# Report\n"}


def put_together(world: World, alice: Client, files: dict[str, bytes], **more: str) -> Exported:
    project_id = alice.create("Killed")
    for name, body in files.items():
        artifact = world.store(project_id, name, body, **more)
        resource = {"id": str(uuid.uuid4()), "name": name, "artifact": artifact}
        world.announce("Model Created", project_id, resource, "2026-02-12T08:00:00Z")
    world.work_off()
    return Exported(world, alice, project_id)


@pytest.fixture
def exported(world: World, alice: Client, unit: int) -> Exported:
    return put_together(world, alice, contents(unit))


def unpacked(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist() if name != "manifest.json"}


def test_killed_at_every_call_in_turn_it_ends_with_the_same_archive_and_leaves_nothing(
    exported: Exported, unit: int, calls: Callable[[Calls], None]
) -> None:
    whole = Calls()
    export_id = exported.start()
    calls(whole)
    exported.deliver(export_id)
    calls(Calls())
    expected = exported.archive(export_id)
    assert unpacked(expected) == contents(unit)
    deaths = 0
    for deadly in range(1, whole.count + 1):
        for before in (True, False):
            export_id = exported.start()
            life = Calls(deadly, before)
            calls(life)
            try:
                exported.deliver(export_id)
            except DeathError:
                deaths += 1
            calls(Calls())
            exported.deliver(export_id)
            assert exported.archive(export_id) == expected, (deadly, before)
    assert deaths > whole.count


def test_out_of_time_again_and_again_it_goes_on_from_what_s3_has(
    exported: Exported, unit: int, calls: Callable[[Calls], None]
) -> None:
    export_id, runs, parts = exported.start(), 0, 0

    def count_parts(name: str) -> None:
        nonlocal parts
        parts += name in {"UploadPart", "UploadPartCopy"}

    calls(Calls(at=count_parts))
    while exported.export(export_id)["status"] in {"pending", "running"} and runs < 20:
        runs += 1
        asked = iter(range(5))
        with contextlib.suppress(OutOfTimeError):
            assembly.assemble(
                ProjectId(exported.project_id),
                ExportId(export_id),
                holder=str(runs),
                keep_going=lambda asked=asked: next(asked, None) is not None,  # type: ignore[misc]
            )
    exported.deliver(export_id)
    assert runs > 1
    assert parts == 3
    assert unpacked(exported.archive(export_id)) == contents(unit)


def test_checksums_that_are_read_over_many_runs_are_read_once(
    world: World, alice: Client, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "CHECKSUM_PIECE", 3 * unit)
    monkeypatch.setattr(making, "READING", 1)
    files = {f"models/{number}.bin": bytes([number]) * (11 * unit + number) for number in range(6)}
    exported = put_together(world, alice, files, ChecksumAlgorithm="SHA256")
    read: list[int] = []
    read_crc32 = artifacts.read_crc32

    def counted(pin: Pin, checksum: int, *, start: int, size: int) -> int:
        read.append(size)
        return read_crc32(pin, checksum, start=start, size=size)

    monkeypatch.setattr(artifacts, "read_crc32", counted)
    export_id, runs = exported.start(), 0
    while exported.export(export_id)["status"] in {"pending", "running"}:
        runs += 1
        before = sum(read)
        with contextlib.suppress(OutOfTimeError):
            assembly.assemble(
                ProjectId(exported.project_id),
                ExportId(export_id),
                holder=str(runs),
                keep_going=lambda before=before: sum(read) - before < 6 * unit,  # type: ignore[misc]
            )
    exported.deliver(export_id)
    assert runs > assembly.ATTEMPTS
    assert sum(read) == sum(map(len, files.values()))
    assert unpacked(exported.archive(export_id)) == files


def test_checksums_are_not_read_again_where_a_run_ended_by_a_fault(
    world: World, alice: Client, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "CHECKSUM_PIECE", unit)
    exported = put_together(world, alice, {"models/0.bin": bytes([7]) * (40 * unit)}, ChecksumAlgorithm="SHA256")
    starts: list[int] = []
    read_crc32 = artifacts.read_crc32

    def flaky(pin: Pin, checksum: int, *, start: int, size: int) -> int:
        if len(starts) % 3 == 2 and starts.count(start) == 0:
            starts.append(start)
            raise StorageUnavailableError
        starts.append(start)
        return read_crc32(pin, checksum, start=start, size=size)

    monkeypatch.setattr(artifacts, "read_crc32", flaky)
    export_id, runs = exported.start(), 0
    while exported.export(export_id)["status"] in {"pending", "running"}:
        runs += 1
        with contextlib.suppress(StorageUnavailableError):
            assembly.assemble(
                ProjectId(exported.project_id), ExportId(export_id), holder=str(runs), keep_going=lambda: True
            )
    assert runs > assembly.ATTEMPTS
    assert starts == sorted(starts)
    assert exported.export(export_id)["status"] == "ready"


def test_two_workers_at_once_do_not_harm_each_other(exported: Exported) -> None:
    expected: set[bytes] = set()
    for _ in range(3):
        export_id = exported.start()
        workers = [threading.Thread(target=exported.deliver, args=(export_id,)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        exported.deliver(export_id)
        expected.add(exported.archive(export_id))
    assert len(expected) == 1


@pytest.mark.parametrize("change", ["overwritten", "deleted"])
@pytest.mark.parametrize("name", ["models/1.bin", "data/a.csv"])
def test_an_artifact_that_changes_meanwhile_fails_the_export_with_its_name(
    exported: Exported, calls: Callable[[Calls], None], name: str, change: str
) -> None:
    key = f"projects/{exported.project_id}/{name}"
    s3, bucket = boto3.client("s3"), exported.world.stack.artifacts
    changed = threading.Event()

    def meddle(call: str) -> None:
        if call == "CreateMultipartUpload" and not changed.is_set():
            changed.set()
            if change == "deleted":
                s3.delete_object(Bucket=bucket, Key=key)
            else:
                s3.put_object(Bucket=bucket, Key=key, Body=b"other")

    export_id = exported.start()
    calls(Calls(at=meddle))
    exported.deliver(export_id)
    export = exported.export(export_id)
    assert changed.is_set()
    assert export["status"] == "failed"
    assert key in export["error"]
    assert export["download_url"] is None
    left = s3.list_objects_v2(Bucket=exported.world.stack.exports, Prefix=f"{exported.project_id}/{export_id}")
    assert "Contents" not in left
    uploads = s3.list_multipart_uploads(Bucket=exported.world.stack.exports, Prefix=exported.project_id)
    assert not uploads.get("Uploads")


def test_more_parts_than_an_upload_takes_are_joined_from_volumes(
    world: World, alice: Client, unit: int, monkeypatch: pytest.MonkeyPatch, calls: Callable[[Calls], None]
) -> None:
    exported = put_together(world, alice, contents(unit, large=4))
    monkeypatch.setattr(planning, "MOST_PARTS", 3)
    export_id = exported.start()
    calls(Calls(deadly=30))
    with pytest.raises(DeathError):  # on the way, with volumes made
        exported.deliver(export_id)
    calls(Calls())
    exported.deliver(export_id)
    assert unpacked(exported.archive(export_id)) == contents(unit, large=4)


def test_a_plan_of_another_version_of_the_program_is_not_mixed_with_its_own(
    exported: Exported, unit: int, monkeypatch: pytest.MonkeyPatch, calls: Callable[[Calls], None]
) -> None:
    export_id = exported.start()
    with monkeypatch.context() as older:
        older.setattr(planning, "LEAST_PART", 5 * unit + 5)
        calls(Calls(deadly=20))
        with pytest.raises(DeathError):
            exported.deliver(export_id)
    calls(Calls())
    exported.deliver(export_id)
    assert unpacked(exported.archive(export_id)) == contents(unit)


def test_a_worker_that_dies_again_and_again_fails_the_export(
    exported: Exported, calls: Callable[[Calls], None]
) -> None:
    export_id = exported.start()
    for _ in range(assembly.ATTEMPTS):
        calls(Calls(deadly=4))
        with pytest.raises(DeathError):
            exported.deliver(export_id)
    calls(Calls())
    exported.deliver(export_id)
    export = exported.export(export_id)
    assert (export["status"], "tell an operator" in export["error"]) == ("failed", True)


def test_a_project_deleted_meanwhile_leaves_no_archive(exported: Exported, calls: Callable[[Calls], None]) -> None:
    export_id = exported.start()
    deleted = threading.Event()

    def delete(call: str) -> None:
        if call == "CompleteMultipartUpload" and not deleted.is_set():
            deleted.set()
            assert exported.alice.delete(f"/api/projects/{exported.project_id}").status == 200

    calls(Calls(at=delete))
    exported.deliver(export_id)
    assert deleted.is_set()
    listed = boto3.client("s3").list_objects_v2(Bucket=exported.world.stack.exports, Prefix=exported.project_id)
    assert [one["Key"] for one in listed.get("Contents", []) if one["Key"].endswith(".zip")] == []
    exported.world.work_off()
    assert exported.world.objects(exported.project_id) == []
    assert exported.world.items(exported.project_id) == []


def test_progress_grows_and_is_written_no_more_than_once_a_second(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, calls: Callable[[Calls], None]
) -> None:
    monkeypatch.setattr(assembly, "LEASE", timedelta(seconds=30))
    seen: list[Any] = []
    written: list[float] = []

    def look(call: str) -> None:
        if call == "TransactWriteItems":
            written.append(time.monotonic())
        elif call in {"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"}:
            time.sleep(1.3)
            seen.append(exported.export(export_id)["progress"])

    export_id = exported.start()
    calls(Calls(at=look))
    exported.deliver(export_id)
    exported.archive(export_id)
    done = [progress["bytes_done"] for progress in seen]
    assert done == sorted(done)
    assert done[0] == 0
    assert 0 < done[-1] <= seen[-1]["bytes_total"]
    while_making = written[2:-1]  # the others are its revision, its snapshot, and that it is ready
    assert while_making
    assert all(later - earlier > 0.9 for earlier, later in pairwise(while_making))


def test_the_checksum_of_an_object_in_parts_is_combined_from_theirs() -> None:
    pieces = [b"a" * 5000, b"b" * 70, b"c"]

    def told(checksum: int) -> str:
        return base64.b64encode(checksum.to_bytes(4)).decode()

    parts = [
        {"PartNumber": number, "Size": len(piece), "ChecksumCRC32": told(zlib.crc32(piece))}
        for number, piece in enumerate(pieces, 1)
    ]
    pin = Pin("projects/p/f", '"e-3"', 5071)
    with Stubber(clients.s3()) as s3:
        s3.add_response("head_object", {"ETag": '"e-3"', "ChecksumCRC32": "AAAAAA==-3", "ChecksumType": "COMPOSITE"})
        page = {"ObjectParts": {"IsTruncated": True, "NextPartNumberMarker": 2, "Parts": parts[:2]}, "ETag": "e-3"}
        s3.add_response("get_object_attributes", page)
        rest = {"ObjectParts": {"IsTruncated": False, "Parts": parts[2:]}, "ETag": "e-3"}
        s3.add_response("get_object_attributes", rest)
        assert artifacts.crc32(pin) == zlib.crc32(b"".join(pieces))
        s3.assert_no_pending_responses()
