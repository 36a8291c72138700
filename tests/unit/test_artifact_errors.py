"""Exports of artifacts that S3 does not return: they fail immediately, and say which artifact and what to do."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from projects_api.domain.exports import export_worker
from projects_api.storage import clients
from tests.support.api_client import Client
from tests.support.archives import unpack_archive
from tests.support.export_runs import RUNS_UNTIL_FAILURE, ExportRunner, create_export_runner
from tests.support.in_process_app import InProcessApp

pytestmark = pytest.mark.memory


class _Body:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, **_: Any) -> list[bytes]:
        return [self._data]


@pytest.fixture
def runner(app: InProcessApp, alice: Client, unit: int) -> ExportRunner:
    """Return a runner of exports that copy a large model and read a small report."""
    return create_export_runner(app, alice, {"models/m.bin": b"m" * (11 * unit), "reports/r.md": b"# Report"})


def run_export(runner: ExportRunner) -> Any:
    """Run an export in a single attempt and return it."""
    export_id = runner.start_export()
    runner.deliver(export_id)
    return runner.get_export(export_id)


@contextmanager
def refused(respond: Callable[[Any], AWSResponse | None]) -> Iterator[None]:
    """Have ``respond`` return the responses to requests of S3 in the block. None stands for moto's response."""

    def handle(request: Any, **_: Any) -> Any:
        return respond(request)

    events: Any = clients.s3().meta.events  # the stubs do not know that a handler can return a response
    events.register_first("before-send.s3", handle)
    try:
        yield
    finally:
        events.unregister("before-send.s3", handle)


def build_response(request: Any, status: int, code: str, message: str) -> AWSResponse:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>" if request.method != "HEAD" else ""
    return AWSResponse(request.url, status, HTTPHeaders(), _Body(body.encode()))


def is_use_of_artifact(request: Any, part: str) -> bool:
    """Return whether a request copies or reads an artifact whose key contains ``part``."""
    source = request.headers.get("x-amz-copy-source", b"")
    source = source.decode() if isinstance(source, bytes) else source
    is_read = request.method in {"GET", "HEAD"} and "/projects/" in request.url
    return (request.method == "PUT" and part in source) or (is_read and part in request.url)


@pytest.mark.parametrize(
    ("code", "message", "status", "advice"),
    [
        ("InvalidObjectState", "The operation is not valid for the object's storage class", 403, "Restore it"),
        ("AccessDenied", "Access Denied", 403, "Allow this service to read it"),
        (
            "AccessDenied",
            "not authorized to perform: kms:Decrypt on arn:aws:kms:k",
            403,
            "allow this service to decrypt",
        ),
        ("KMS.DisabledException", "arn:aws:kms:eu-west-1:1:key/k is disabled.", 400, "Enable the key"),
        ("KMS.NotFoundException", "Key 'arn:aws:kms:k' does not exist", 400, "Enable the key"),
        ("InvalidRequest", "The object was stored using a form of Server Side Encryption.", 400, "SSE-C"),
        ("MethodNotAllowed", "The specified method is not allowed", 405, "S3 refuses access"),
    ],
)
@pytest.mark.parametrize("part", ["m.bin", "r.md"], ids=["copied", "read"])
def test_refused_artifact(
    runner: ExportRunner, *, code: str, message: str, status: int, advice: str, part: str
) -> None:
    def respond(request: Any) -> AWSResponse | None:
        return build_response(request, status, code, message) if is_use_of_artifact(request, part) else None

    with refused(respond):
        export = run_export(runner)
    assert export["status"] == "failed"
    assert part in export["error"]
    assert advice in export["error"]
    assert "start a new export" in export["error"]
    assert "arn:" not in export["error"]
    assert not boto3.client("s3").list_multipart_uploads(Bucket=runner.app.stack.exports).get("Uploads")


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_archived_artifacts(runner: ExportRunner, storage_class: str) -> None:
    """All archived artifacts are named without a copy of any."""
    runner.add_file("models/cold.bin", b"cold", StorageClass=storage_class)
    runner.add_file("models/colder.bin", b"colder", StorageClass=storage_class)
    export = run_export(runner)
    assert export["status"] == "failed"
    assert "models/cold.bin and projects/" in export["error"]
    assert "models/colder.bin are archived in S3. Restore them" in export["error"]


@contextmanager
def restore_status(key: str, status: dict[str, Any]) -> Iterator[None]:
    """Have lists of artifacts show the status of a restored object, which moto leaves out."""

    def add_status(parsed: dict[str, Any], **_: Any) -> None:
        for summary in parsed.get("Contents", []):
            if summary["Key"].endswith(key):
                summary["RestoreStatus"] = status

    def check_parameters(params: dict[str, Any], **_: Any) -> None:
        assert params["OptionalObjectAttributes"] == ["RestoreStatus"]  # without it, S3 leaves the status out

    events = clients.s3().meta.events
    events.register("after-call.s3.ListObjectsV2", add_status)
    events.register("provide-client-params.s3.ListObjectsV2", check_parameters)
    try:
        yield
    finally:
        events.unregister("after-call.s3.ListObjectsV2", add_status)
        events.unregister("provide-client-params.s3.ListObjectsV2", check_parameters)


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_restored_artifact_is_exported(runner: ExportRunner, storage_class: str) -> None:
    """An artifact is readable from the end of its restoration until the restored copy expires."""
    runner.add_file("models/cold.bin", b"cold", StorageClass=storage_class)
    with restore_status("cold.bin", {"IsRestoreInProgress": True}):
        assert run_export(runner)["status"] == "failed"
    key = f"projects/{runner.project_id}/models/cold.bin"
    boto3.client("s3").restore_object(Bucket=runner.app.stack.artifacts, Key=key, RestoreRequest={"Days": 1})
    with restore_status(
        "cold.bin", {"IsRestoreInProgress": False, "RestoreExpiryDate": datetime(2099, 1, 1, tzinfo=UTC)}
    ):
        export = run_export(runner)
    assert (export["status"], export["error"]) == ("ready", None)


def test_missing_artifacts_are_named_together(app: InProcessApp, alice: Client, runner: ExportRunner) -> None:
    for count, expected in ((1, "is not in the bucket"), (3, " and "), (14, "and 4 more are not in the bucket")):
        for number in range(count):
            key = f"projects/{runner.project_id}/models/missing-{number:02}.bin"
            resource = {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, key)), "name": "m", "artifact": {"key": key}}
            app.publish_event("Model Created", runner.project_id, resource, "2026-02-12T08:00:00Z")
        app.process_queues()
        error = run_export(runner)["error"]
        assert expected in error
        assert all(f"missing-{number:02}.bin" in error for number in range(min(count, 10)))
        assert error.count("missing-") == min(count, 10)


@pytest.mark.parametrize("part_size", [8, 5], ids=["as upload_file does", "smaller parts"])
def test_artifact_uploaded_in_parts(app: InProcessApp, alice: Client, runner: ExportRunner, part_size: int) -> None:
    """Moto does not say that the checksum of such an object is COMPOSITE. The archive is correct all the same."""
    body = bytes(range(256)) * (20 * 4096)
    s3, key = boto3.client("s3"), f"projects/{runner.project_id}/models/parts.bin"
    target: Any = {"Bucket": app.stack.artifacts, "Key": key}
    upload_id = s3.create_multipart_upload(**target, ChecksumAlgorithm="CRC32")["UploadId"]
    size = part_size << 20
    parts: Any = []
    for number, start in enumerate(range(0, len(body), size), 1):
        response = s3.upload_part(
            **target, UploadId=upload_id, PartNumber=number, Body=body[start : start + size], ChecksumAlgorithm="CRC32"
        )
        parts.append({"PartNumber": number, "ETag": response["ETag"], "ChecksumCRC32": response["ChecksumCRC32"]})
    s3.complete_multipart_upload(**target, UploadId=upload_id, MultipartUpload={"Parts": parts})
    assert "-" in s3.head_object(**target)["ETag"]
    resource = {"id": str(uuid.uuid4()), "name": "p", "artifact": {"key": key}}
    app.publish_event("Model Created", runner.project_id, resource)
    app.process_queues()
    export_id = runner.start_export()
    runner.deliver(export_id)
    assert unpack_archive(runner.read_archive(export_id))[1]["models/parts.bin"] == body


def test_archive_that_is_too_large(monkeypatch: pytest.MonkeyPatch, runner: ExportRunner) -> None:
    """S3 stores no object over 10,000 parts of 5 GiB."""
    monkeypatch.setattr("projects_api.domain.exports.assembler.MAX_ARCHIVE_SIZE", 10_000)
    export = run_export(runner)
    assert export["status"] == "failed"
    assert "10,000" in export["error"]


def test_refused_target_is_not_the_artifacts_fault(runner: ExportRunner) -> None:
    """S3 answers a copy with AccessDenied also if the worker may not write. The error then blames no artifact."""

    def respond(request: Any) -> AWSResponse | None:
        is_copy = request.method == "PUT" and "x-amz-copy-source" in request.headers
        return build_response(request, 403, "AccessDenied", "Access Denied") if is_copy else None

    with refused(respond):
        export_id = runner.start_export()
        for _ in range(RUNS_UNTIL_FAILURE):
            runner.deliver(export_id)
    runner.deliver(export_id)
    assert runner.get_export(export_id)["error"] == export_worker.FAILURE
