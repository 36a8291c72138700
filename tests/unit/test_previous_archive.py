"""Exports that copy unchanged files from the previous archive: what they cost, and that the archive is the same."""

import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from projects_api.archive import archive_index
from projects_api.archive.archive_index import decode_index, encode_index
from projects_api.storage.s3 import fast_get
from tests.support.api_client import Client
from tests.support.archives import unpack_archive
from tests.support.export_runs import ExportRunner, create_export_runner
from tests.support.in_process_app import InProcessApp
from tests.support.moto_checksums import checksums_of_copied_parts

pytestmark = [pytest.mark.usefixtures("expired_leases"), pytest.mark.memory]


@pytest.fixture
def files(unit: int) -> dict[str, bytes]:
    """Return large files, and a run of small ones on either side of the one that changes."""
    small = {f"data/{number:02}.csv": bytes([number]) * unit for number in range(30)}
    return small | {"models/a.bin": b"a" * 11 * unit, "models/b.bin": b"b" * 12 * unit, "reports/empty": b""}


@pytest.fixture
def runner(app: InProcessApp, alice: Client, files: dict[str, bytes]) -> ExportRunner:
    return create_export_runner(app, alice, files)


@pytest.fixture
def previous(runner: ExportRunner) -> str:
    """Return the export of the archive before the change."""
    export_id = runner.start_export()
    runner.deliver(export_id)
    return export_id


@pytest.fixture
def change(runner: ExportRunner, previous: str, files: dict[str, bytes]) -> bytes:
    """Change a small file, and return the archive that an export without a previous one makes."""
    files["data/15.csv"] = b"changed"
    runner.add_file("data/15.csv", files["data/15.csv"])
    archive = run_export(runner)
    assert unpack_archive(archive)[1] == files
    return archive


def run_export(runner: ExportRunner, **options: Any) -> bytes:
    export_id = runner.start_export(**options)
    runner.deliver(export_id)
    return runner.read_archive(export_id)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Return the list of all calls to S3: the operation, and the object that is read or copied."""
    calls: list[tuple[str, str]] = []
    make_api_call, send = BaseClient._make_api_call, fast_get._send  # type: ignore[attr-defined]  # in no stub

    def record_call(client: BaseClient, name: str, parameters: Any) -> Any:
        calls.append((name, parameters.get("CopySource", {}).get("Key", "")))
        return make_api_call(client, name, parameters)

    def record_read(request: Any) -> Any:
        calls.append(("read", request.url))
        return send(request)

    monkeypatch.setattr(BaseClient, "_make_api_call", record_call)
    monkeypatch.setattr(fast_get, "_send", record_read)
    return calls


@pytest.mark.parametrize("checksums", [False, True])
def test_one_change(
    runner: ExportRunner, previous: str, change: bytes, requests: list[tuple[str, str]], *, checksums: bool
) -> None:
    """Only the changed file is read, and the unchanged ones are copied with a condition. The archive is the same."""
    requests.clear()
    with checksums_of_copied_parts() if checksums else pytest.MonkeyPatch.context():
        assert run_export(runner, previous=previous) == change
    reads = [source for name, source in requests if name == "read"]
    assert [source for source in reads if "/projects/" in source] == [source for source in reads if "15.csv" in source]
    assert len(reads) <= 3
    copies = [source for name, source in requests if name == "UploadPartCopy"]
    assert any(source == f"{runner.project_id}/{previous}.zip" for source in copies)
    assert not any(source.startswith("projects/") for source in copies)
    assert sum(name == "HeadObject" for name, _ in requests) <= 2  # of the two archives


def test_chain_of_archives(runner: ExportRunner, previous: str, files: dict[str, bytes]) -> None:
    """Each archive is made from the one before. Added, removed, renamed and reordered files are no obstacle."""
    for number in range(4):
        files[f"data/{number}0.csv"] = b"changed" * number
        files[f"data/new-{number}.csv"] = b"new" * number
        for name in (f"data/{number}0.csv", f"data/new-{number}.csv"):
            runner.add_file(name, files[name])
        export_id = runner.start_export(previous=previous)
        runner.deliver(export_id)
        archive = runner.read_archive(export_id)
        assert unpack_archive(archive)[1] == files
        assert archive == run_export(runner)
        previous = export_id


def delete_archive(s3: Any, bucket: str, stem: str) -> None:
    s3.delete_object(Bucket=bucket, Key=f"{stem}.zip")


def delete_index(s3: Any, bucket: str, stem: str) -> None:
    s3.delete_object(Bucket=bucket, Key=f"{stem}.index.gz")


def overwrite_archive(s3: Any, bucket: str, stem: str) -> None:
    size = s3.head_object(Bucket=bucket, Key=f"{stem}.zip")["ContentLength"]
    s3.put_object(Bucket=bucket, Key=f"{stem}.zip", Body=bytes(size))


def damage_index(s3: Any, bucket: str, stem: str) -> None:
    data = s3.get_object(Bucket=bucket, Key=f"{stem}.index.gz")["Body"].read()
    s3.put_object(Bucket=bucket, Key=f"{stem}.index.gz", Body=data[:-20])


def change_format(s3: Any, bucket: str, stem: str) -> None:
    data = s3.get_object(Bucket=bucket, Key=f"{stem}.index.gz")["Body"].read()
    index = decode_index(data)
    assert index
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_index, "FORMAT", "of another version")
        data = encode_index(index.etag, index.size, index.entries.values())
    s3.put_object(Bucket=bucket, Key=f"{stem}.index.gz", Body=data)


LOSSES = [delete_archive, delete_index, overwrite_archive, damage_index, change_format]


@pytest.mark.exhaustive
@pytest.mark.parametrize("lose", LOSSES)
def test_previous_archive_is_lost(
    runner: ExportRunner, previous: str, change: bytes, lose: Callable[[Any, str, str], None]
) -> None:
    lose(boto3.client("s3"), runner.app.stack.exports, f"{runner.project_id}/{previous}")
    assert run_export(runner, previous=previous) == change


@pytest.mark.exhaustive
@pytest.mark.parametrize("lose", [delete_archive, delete_index])
def test_previous_archive_is_lost_during_the_export(
    runner: ExportRunner, previous: str, change: bytes, monkeypatch: pytest.MonkeyPatch, lose: Any
) -> None:
    """Whenever it happens, the archive is planned without the previous one, also by a worker that resumes."""
    s3, bucket, stem = boto3.client("s3"), runner.app.stack.exports, f"{runner.project_id}/{previous}"
    kept = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in (f"{stem}.zip", f"{stem}.index.gz")}
    make_api_call = BaseClient._make_api_call  # type: ignore[attr-defined]  # in no stub
    state = {"count": 0, "lose_at": 0}

    def lose_at_call(client: BaseClient, name: str, parameters: Any) -> Any:
        state["count"] += 1
        if state["count"] == state["lose_at"]:
            lose(s3, bucket, stem)
        return make_api_call(client, name, parameters)

    for lose_at in range(3, 60, 6):
        for key, body in kept.items():
            s3.put_object(Bucket=bucket, Key=key, Body=body)
        export_id = runner.start_export(previous=previous)
        with monkeypatch.context() as patch:
            patch.setattr(BaseClient, "_make_api_call", lose_at_call)
            state |= {"count": 0, "lose_at": lose_at}
            runner.deliver(export_id)
        runner.deliver(export_id)
        assert runner.read_archive(export_id) == change, lose_at
        if state["count"] < lose_at:
            break


def test_pointer_names_the_newest_ready_archive(
    app: InProcessApp, alice: Client, runner: ExportRunner, previous: str
) -> None:
    """An archive of the schedule becomes the source of the next one. A failed export does not."""

    def read_pointer() -> str:
        (project,) = [item for item in app.find_items(runner.project_id) if item["SK"]["S"] == "PROJECT"]
        return str(project["archive_export_id"]["S"])

    assert read_pointer() == previous
    runner.add_file("data/15.csv", b"changed")
    app.invoke("ScheduleExports", {})
    app.process_queues()
    (newest,) = alice.get(f"/api/projects/{runner.project_id}/exports?limit=1")["items"]
    assert (newest["trigger"], newest["status"]) == ("schedule", "ready")
    assert read_pointer() == newest["id"]
    resource = {"id": str(uuid.uuid4()), "name": "m", "artifact": {"key": f"projects/{runner.project_id}/missing"}}
    app.publish_event("Model Created", runner.project_id, resource)
    app.process_queues()
    failed_id = alice.post(f"/api/projects/{runner.project_id}/exports")["export"]["id"]
    app.process_queues()
    assert runner.get_export(failed_id)["status"] == "failed"
    assert read_pointer() == newest["id"]


def test_fresh_export(runner: ExportRunner, previous: str, change: bytes, requests: list[tuple[str, str]]) -> None:
    """An export that was requested as fresh reads and copies artifacts only."""
    export_id = runner.start_export(previous=previous)
    boto3.client("dynamodb").update_item(
        TableName=runner.app.stack.table,
        Key={"PK": {"S": f"PROJECT#{runner.project_id}"}, "SK": {"S": f"EXPORT#{export_id}"}},
        UpdateExpression="SET fresh = :fresh",
        ExpressionAttributeValues={":fresh": {"BOOL": True}},
    )
    requests.clear()
    runner.deliver(export_id)
    assert runner.read_archive(export_id) == change
    assert not any(previous in source for _, source in requests)


def test_index_belongs_to_the_archive(runner: ExportRunner, previous: str, files: dict[str, bytes]) -> None:
    """The index states the place of each header, and stays until the archive is deleted."""
    bucket, stem = runner.app.stack.exports, f"{runner.project_id}/{previous}"
    archive = runner.read_archive(previous)
    index = decode_index(boto3.client("s3").get_object(Bucket=bucket, Key=f"{stem}.index.gz")["Body"].read())
    assert index
    assert index.size == len(archive)
    assert sorted(index.entries) == sorted(files)
    for entry in index.entries.values():
        assert archive[entry.offset :].startswith(b"PK\x03\x04")
        assert archive[entry.offset + 14 : entry.offset + 18] == entry.crc32.to_bytes(4, "little")
        assert archive[entry.offset + 30 :].startswith(entry.path.encode())
        assert entry.key == f"projects/{runner.project_id}/{entry.path}"
    assert runner.alice.delete(f"/api/projects/{runner.project_id}").status == 200
    runner.app.process_queues()
    assert runner.app.find_objects(runner.project_id) == []
