"""The checksums of an archive's files: their sources, and that no byte is read twice for one."""

import contextlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.stub import Stubber

from projects_api.domain.exports import assembler, checksums, export_worker, stored_checksums
from projects_api.domain.exports.task_group import CancelledError
from projects_api.entities.content import Pin
from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage import clients
from projects_api.storage.aws_errors import ObjectMissingError, ThrottledError
from projects_api.storage.s3 import artifact_store
from projects_api.storage.s3.object_crc32 import encode_crc32
from tests.support.api_client import Client
from tests.support.archives import unpack_archive
from tests.support.export_runs import create_export_runner
from tests.support.in_process_app import InProcessApp
from tests.support.moto_checksums import checksums_of_copied_parts

pytestmark = pytest.mark.usefixtures("app", "expired_leases")


def test_part_checksums_are_combined() -> None:
    pieces = [b"a" * 5000, b"b" * 70, b"c"]
    parts = [
        {"PartNumber": number, "Size": len(piece), "ChecksumCRC32": encode_crc32(zlib.crc32(piece))}
        for number, piece in enumerate(pieces, 1)
    ]
    pin = Pin("projects/p/f", '"e-3"', 5071)
    with Stubber(clients.s3()) as s3:
        s3.add_response("head_object", {"ETag": '"e-3"', "ChecksumCRC32": "AAAAAA==-3", "ChecksumType": "COMPOSITE"})
        page = {"ObjectParts": {"IsTruncated": True, "NextPartNumberMarker": 2, "Parts": parts[:2]}, "ETag": "e-3"}
        s3.add_response("get_object_attributes", page)
        rest = {"ObjectParts": {"IsTruncated": False, "Parts": parts[2:]}, "ETag": "e-3"}
        s3.add_response("get_object_attributes", rest)
        assert stored_checksums.combine_stored_checksums(pin) == zlib.crc32(b"".join(pieces))
        s3.assert_no_pending_responses()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Return the list of all calls of botocore clients: the operation and the parameters."""
    calls: list[tuple[str, Any]] = []
    make_api_call = BaseClient._make_api_call  # type: ignore[attr-defined]  # in no stub

    def record_call(client: BaseClient, name: str, parameters: Any) -> Any:
        calls.append((name, parameters))
        return make_api_call(client, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", record_call)
    return calls


def export_files(app: InProcessApp, alice: Client, files: dict[str, bytes], **options: str) -> None:
    """Export a project, and check the archive. ``options`` are those of storing the first file."""
    first, *names = files
    runner = create_export_runner(app, alice, {name: files[name] for name in names})
    runner.add_file(first, files[first], **options)
    export_id = runner.start_export()
    runner.deliver(export_id)
    assert unpack_archive(runner.read_archive(export_id))[1] == files


def count_heads(calls: list[tuple[str, Any]]) -> int:
    """Return how many artifacts' checksums were asked for."""
    return sum(name == "HeadObject" and "IfMatch" in parameters for name, parameters in calls)


def build_files(unit: int) -> dict[str, bytes]:
    return {f"models/{number}.bin": bytes([number]) * (11 * unit + number) for number in range(4)} | {"a": b"small"}


def test_stored_checksums(app: InProcessApp, alice: Client, unit: int, calls: list[tuple[str, Any]]) -> None:
    """If S3 keeps the checksums of all large artifacts, they are asked for once, and copies return none."""
    export_files(app, alice, build_files(unit))
    assert count_heads(calls) == 4
    options = [parameters for name, parameters in calls if name in {"CreateMultipartUpload", "UploadPart"}]
    assert any("ContentMD5" in parameters for parameters in options)
    assert not any("ChecksumAlgorithm" in parameters for parameters in options)
    objects = [parameters for name, parameters in calls if name == "PutObject"]
    assert all(parameters["ChecksumAlgorithm"] == "CRC32" for parameters in objects)


def test_one_artifact_without_a_checksum(
    app: InProcessApp, alice: Client, unit: int, calls: list[tuple[str, Any]], pytestconfig: pytest.Config
) -> None:
    """Nothing is asked for after the first artifact without a stored checksum: copies return those of all artifacts."""
    real = pytestconfig.getoption("engines") == "real"
    with contextlib.nullcontext() if real else checksums_of_copied_parts():
        export_files(app, alice, {"large": bytes(12 * unit)} | build_files(unit), ChecksumAlgorithm="SHA256")
    assert count_heads(calls) == 1
    options = [parameters for name, parameters in calls if name in {"CreateMultipartUpload", "UploadPart"}]
    assert all(parameters["ChecksumAlgorithm"] == "CRC32" for parameters in options)


def test_copy_of_an_object_in_parts(app: InProcessApp, alice: Client, unit: int) -> None:
    """A copy has other checksums than the object that was uploaded in parts, each with its checksum."""
    parts = [b"a" * 6 * unit, b"b" * 7 * unit]
    runner = create_export_runner(app, alice, {"models/0.bin": b"".join(parts)})
    target = {"Bucket": app.stack.artifacts, "Key": f"projects/{runner.project_id}/upload"}
    upload = {**target, "UploadId": app.s3.create_multipart_upload(**target, ChecksumAlgorithm="CRC32")["UploadId"]}
    responses = [
        app.s3.upload_part(**upload, PartNumber=number, Body=part, ChecksumAlgorithm="CRC32")
        for number, part in enumerate(parts, 1)
    ]
    completed = [
        {"PartNumber": number, "ETag": response["ETag"], "ChecksumCRC32": response["ChecksumCRC32"]}
        for number, response in enumerate(responses, 1)
    ]
    app.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": completed})
    app.s3.copy_object(**target | {"Key": f"projects/{runner.project_id}/models/0.bin"}, CopySource=target)
    export_id = runner.start_export()
    runner.deliver(export_id)
    assert unpack_archive(runner.read_archive(export_id))[1] == {"models/0.bin": b"".join(parts)}


def test_requests_for_checksums_are_repeated_and_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A throttled request is repeated. None is sent when the run's time is over."""
    requested: list[str] = []

    def throttle_first(pin: Pin) -> int:
        requested.append(pin.key)
        if len(requested) == 2:
            raise ThrottledError
        return 7

    monkeypatch.setattr(stored_checksums, "combine_stored_checksums", throttle_first)
    monkeypatch.setattr("time.sleep", lambda _: None)
    pins = [Pin(f"projects/p/{number}", '"e"', 5 << 20) for number in range(3)]
    known = stored_checksums.add_known_checksums(pins, None, lambda: True)
    assert [pin.crc32 for pin in known] == [7, 7, 7]
    assert len(requested) == 4
    with pytest.raises(CancelledError):
        stored_checksums.add_known_checksums(pins, None, lambda: False)
    assert len(requested) == 4


@pytest.mark.parametrize("error", [StorageUnavailableError, ObjectMissingError])
def test_request_for_a_checksum_fails(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """The export continues without the checksum, which the copy returns."""
    requested: list[str] = []

    def fail(pin: Pin) -> int:
        requested.append(pin.key)
        raise error

    monkeypatch.setattr(stored_checksums, "combine_stored_checksums", fail)
    pins = [Pin(f"projects/p/{number}", '"e"', 5 << 20) for number in range(3)]
    assert stored_checksums.add_known_checksums(pins, None, lambda: True) == pins
    assert len(requested) == 1


@pytest.fixture
def copies_without_checksums() -> Iterator[None]:
    """Have S3 return no checksums of copied parts, as moto does. SeaweedFS returns them, so that no byte is read."""

    def remove_checksum(parsed: Any, **_: Any) -> None:
        parsed["CopyPartResult"].pop("ChecksumCRC32", None)

    s3_clients = [clients.s3(), clients.s3_for_large_copies()]
    for client in s3_clients:
        client.meta.events.register("after-call.s3.UploadPartCopy", remove_checksum)
    yield
    for client in s3_clients:
        client.meta.events.unregister("after-call.s3.UploadPartCopy", remove_checksum)


@pytest.mark.usefixtures("copies_without_checksums")
def test_checksum_survives_timeouts(
    app: InProcessApp, alice: Client, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that run out of time while they read for a checksum resume it, and read no byte twice."""
    monkeypatch.setattr(checksums, "CHECKSUM_READ_SIZE", 3 * unit)
    monkeypatch.setattr(assembler, "READ_THREADS", 1)
    files = {f"models/{number}.bin": bytes([number]) * (11 * unit + number) for number in range(6)}
    runner = create_export_runner(app, alice, files, ChecksumAlgorithm="SHA256")
    sizes: list[int] = []
    read_crc32 = artifact_store.read_crc32

    def read_counted(pin: Pin, checksum: int, *, start: int, size: int) -> int:
        sizes.append(size)
        return read_crc32(pin, checksum, start=start, size=size)

    monkeypatch.setattr(artifact_store, "read_crc32", read_counted)

    def allow_six_units() -> Callable[[], bool]:
        before = sum(sizes)
        return lambda: sum(sizes) - before < 6 * unit

    export_id = runner.start_export()
    assert runner.run_until_done(export_id, allow_six_units) > export_worker.ATTEMPTS
    assert sum(sizes) == sum(map(len, files.values()))
    assert unpack_archive(runner.read_archive(export_id))[1] == files


@pytest.mark.usefixtures("copies_without_checksums")
def test_checksum_survives_faults(app: InProcessApp, alice: Client, unit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that end with an error while they read for a checksum resume it, and read no earlier byte again."""
    monkeypatch.setattr(checksums, "CHECKSUM_READ_SIZE", unit)
    runner = create_export_runner(app, alice, {"models/0.bin": bytes([7]) * (40 * unit)}, ChecksumAlgorithm="SHA256")
    starts: list[int] = []
    read_crc32 = artifact_store.read_crc32

    def read_or_fail(pin: Pin, checksum: int, *, start: int, size: int) -> int:
        if len(starts) % 3 == 2 and starts.count(start) == 0:
            starts.append(start)
            raise StorageUnavailableError
        starts.append(start)
        return read_crc32(pin, checksum, start=start, size=size)

    monkeypatch.setattr(artifact_store, "read_crc32", read_or_fail)
    export_id = runner.start_export()
    assert runner.run_until_done(export_id, lambda: lambda: True) > export_worker.ATTEMPTS
    assert starts == sorted(starts)
    assert runner.get_export(export_id)["status"] == "ready"
