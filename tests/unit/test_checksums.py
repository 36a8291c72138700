"""Where the checksums of an archive's files come from, and that none is read for twice."""

import base64
import zlib
from collections.abc import Callable

import pytest
from botocore.stub import Stubber

from projects_api.domain.exports import assembler, export_worker
from projects_api.entities.errors import StorageUnavailableError
from projects_api.entities.snapshot import Pin
from projects_api.storage import clients
from projects_api.storage.s3 import artifact_store
from tests.support.api_client import Client
from tests.support.archives import unpacked
from tests.support.export_runs import put_together
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.usefixtures("app", "no_waiting_for_the_dead")


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
        assert artifact_store.crc32(pin) == zlib.crc32(b"".join(pieces))
        s3.assert_no_pending_responses()


def test_checksums_that_are_read_over_many_runs_are_read_once(
    app: InProcessApp, alice: Client, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembler, "CHECKSUM_READ_SIZE", 3 * unit)
    monkeypatch.setattr(assembler, "READ_THREADS", 1)
    files = {f"models/{number}.bin": bytes([number]) * (11 * unit + number) for number in range(6)}
    exported = put_together(app, alice, files, ChecksumAlgorithm="SHA256")
    read: list[int] = []
    read_crc32 = artifact_store.read_crc32

    def counted(pin: Pin, checksum: int, *, start: int, size: int) -> int:
        read.append(size)
        return read_crc32(pin, checksum, start=start, size=size)

    monkeypatch.setattr(artifact_store, "read_crc32", counted)

    def six_units() -> Callable[[], bool]:
        before = sum(read)
        return lambda: sum(read) - before < 6 * unit

    export_id = exported.start()
    assert exported.runs(export_id, six_units) > export_worker.ATTEMPTS
    assert sum(read) == sum(map(len, files.values()))
    assert unpacked(exported.archive(export_id))[1] == files


def test_checksums_are_not_read_again_where_a_run_ended_by_a_fault(
    app: InProcessApp, alice: Client, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembler, "CHECKSUM_READ_SIZE", unit)
    exported = put_together(app, alice, {"models/0.bin": bytes([7]) * (40 * unit)}, ChecksumAlgorithm="SHA256")
    starts: list[int] = []
    read_crc32 = artifact_store.read_crc32

    def flaky(pin: Pin, checksum: int, *, start: int, size: int) -> int:
        if len(starts) % 3 == 2 and starts.count(start) == 0:
            starts.append(start)
            raise StorageUnavailableError
        starts.append(start)
        return read_crc32(pin, checksum, start=start, size=size)

    monkeypatch.setattr(artifact_store, "read_crc32", flaky)
    export_id = exported.start()
    assert exported.runs(export_id, lambda: lambda: True) > export_worker.ATTEMPTS
    assert starts == sorted(starts)
    assert exported.export(export_id)["status"] == "ready"
