"""The assembly of an archive by a worker, in spite of crashes, timeouts and changes."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from projects_api.archive import plan as planning
from projects_api.domain.exports import export_worker
from projects_api.storage.s3 import fast_get
from tests.support.api_client import Client
from tests.support.archives import unpack_archive
from tests.support.export_runs import ExportRunner, create_export_runner
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import CrashError
from tests.support.moto_checksums import checksums_of_copied_parts
from tests.support.moto_snapshot import StorageSnapshot

pytestmark = pytest.mark.usefixtures("expired_leases")


@dataclass
class Calls:
    """Counts the calls to AWS, and crashes the process after one of them.

    Attributes:
        crash_at: The number of the call to crash after, counted from 1, or 0 for none.
        on_call: Called before each call with the name of the operation.
        on_parameters: Called before each call of a botocore client with the name of the operation and its parameters.
        count: The number of calls so far.
        crashed: Whether the process has crashed. Every further call fails.
    """

    crash_at: int = 0
    on_call: Callable[[str], None] = lambda _: None
    on_parameters: Callable[[str, Any], None] = lambda _, __: None
    count: int = 0
    crashed: bool = False

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        self.count += 1
        number = self.count
        if self.crashed:
            raise CrashError
        self.on_call(name)
        response = call()
        if number == self.crash_at:
            self.crashed = True
        if self.crashed:
            raise CrashError
        return response


@pytest.fixture
def use_calls(request: pytest.FixtureRequest) -> Iterator[Callable[[Calls], None]]:
    """Return a function that directs all following calls through a `Calls`."""
    if "checksum_source" in request.fixturenames:
        request.getfixturevalue("checksum_source")  # which also directs calls, and must end later
    active: list[Calls] = []
    make_api_call, send = BaseClient._make_api_call, fast_get._send  # type: ignore[attr-defined]  # in no stub

    def make_counted_call(client: BaseClient, name: str, parameters: Any) -> Any:
        active[-1].on_parameters(name, parameters)
        return active[-1](name, lambda: make_api_call(client, name, parameters))

    def send_counted(request: Any) -> Any:
        return active[-1]("GetObject", lambda: send(request))

    active.append(Calls())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", make_counted_call)
        patch.setattr(fast_get, "_send", send_counted)
        yield active.append


def build_files(unit: int, large: int = 1) -> dict[str, bytes]:
    """Return files whose archive has parts of each kind: copied, buffered and the last one."""
    files = {f"models/{number}.bin": bytes([number]) * (11 * unit + number) for number in range(1, large + 1)}
    return files | {"data/a.csv": b"a,b\n" * 100, "data/empty": b"", "reports/z.md": b"# Report\n"}


@pytest.fixture
def runner(app: InProcessApp, alice: Client, unit: int) -> ExportRunner:
    return create_export_runner(app, alice, build_files(unit))


@pytest.fixture(params=["stored", "copies", "bytes"])
def checksum_source(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Have S3 keep the CRC-32s of artifacts, return those of copied parts, or return none, as some servers do.

    Yields:
        The options for storing an artifact.
    """
    with checksums_of_copied_parts() if request.param == "copies" else contextlib.nullcontext():
        yield {} if request.param == "stored" else {"ChecksumAlgorithm": "SHA256"}


@pytest.mark.exhaustive
@pytest.mark.memory
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the crash ends the heartbeat, too
@pytest.mark.parametrize(
    ("checksum_source", "use_previous"),
    [("stored", False), ("bytes", False), ("copies", True)],
    indirect=["checksum_source"],
    ids=["checksums are stored", "checksums of bytes", "checksums of copies and a previous archive"],
)
def test_crash_at_every_call(
    app: InProcessApp,
    alice: Client,
    unit: int,
    checksum_source: dict[str, str],
    use_calls: Callable[[Calls], None],
    *,
    use_previous: bool,
) -> None:
    """After a crash at any call, the export resumes, and the archive has the same bytes.

    The process crashes after the call took effect, which is the same as before the next call.
    """
    files, previous = build_files(unit), None
    runner = create_export_runner(app, alice, files, **checksum_source)
    if use_previous:
        files |= {"models/0.bin": b"old" * unit, "reports/new.md": b"# New"}
        runner.add_file("models/0.bin", files["models/0.bin"])
        previous = runner.start_export()
        runner.deliver(previous)
        runner.add_file("reports/new.md", files["reports/new.md"])
    export_id = runner.start_export(previous=previous)
    before_export = StorageSnapshot(runner.app)
    uninterrupted = Calls()
    use_calls(uninterrupted)
    runner.deliver(export_id)
    expected = runner.read_archive(export_id)
    assert unpack_archive(expected)[1] == files
    for crash_at in range(1, uninterrupted.count + 1):
        before_export.restore()
        use_calls(Calls(crash_at))
        with contextlib.suppress(CrashError):
            runner.deliver(export_id)
        use_calls(Calls())
        runner.deliver(export_id)
        assert runner.read_archive(export_id) == expected, crash_at
    print(f"\n{uninterrupted.count} crashes")


@pytest.mark.memory
def test_timeouts(
    app: InProcessApp, alice: Client, unit: int, checksum_source: dict[str, str], use_calls: Callable[[Calls], None]
) -> None:
    """A worker that runs out of time is resumed by the next one, and no part of the archive is made twice."""
    runner = create_export_runner(app, alice, build_files(unit, large=4), **checksum_source)
    made: list[Any] = []

    def allow_few_steps() -> Callable[[], bool]:
        steps = iter(range(18))
        return lambda: next(steps, None) is not None

    export_id = runner.start_export()
    calls = Calls()
    calls.on_parameters = lambda name, parameters: made.append(
        (name, parameters["PartNumber"])
        if name in {"UploadPart", "UploadPartCopy"} and parameters["Key"].endswith(".zip")
        else None
    )
    use_calls(calls)
    runs = runner.run_until_done(export_id, allow_few_steps)
    assert runs > 1
    parts = sorted(number for _, number in filter(None, made))
    assert parts == list(range(1, len(parts) + 1))
    assert unpack_archive(runner.read_archive(export_id))[1] == build_files(unit, large=4)


def test_parallel_workers(runner: ExportRunner) -> None:
    """Workers that assemble the same export in parallel do not affect the archive."""
    archives: set[bytes] = set()
    for _ in range(3):
        export_id = runner.start_export()
        workers = [threading.Thread(target=runner.deliver, args=(export_id,)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        runner.deliver(export_id)
        archives.add(runner.read_archive(export_id))
    assert len(archives) == 1


@pytest.mark.parametrize("change", ["overwritten", "deleted"])
@pytest.mark.parametrize("name", ["models/1.bin", "data/a.csv"])
def test_changed_artifact(runner: ExportRunner, use_calls: Callable[[Calls], None], name: str, change: str) -> None:
    """An artifact that changes during the export fails it. The error names the artifact, and nothing is left in S3."""
    key = f"projects/{runner.project_id}/{name}"
    s3, bucket = boto3.client("s3"), runner.app.stack.artifacts
    changed = threading.Event()

    def change_artifact(call: str) -> None:
        if call == "CreateMultipartUpload" and not changed.is_set():
            changed.set()
            if change == "deleted":
                s3.delete_object(Bucket=bucket, Key=key)
            else:
                s3.put_object(Bucket=bucket, Key=key, Body=b"other")

    export_id = runner.start_export()
    use_calls(Calls(on_call=change_artifact))
    runner.deliver(export_id)
    export = runner.get_export(export_id)
    assert changed.is_set()
    assert export["status"] == "failed"
    assert key in export["error"]
    assert export["download_url"] is None
    objects = s3.list_objects_v2(Bucket=runner.app.stack.exports, Prefix=f"{runner.project_id}/{export_id}")
    assert "Contents" not in objects
    uploads = s3.list_multipart_uploads(Bucket=runner.app.stack.exports, Prefix=runner.project_id)
    assert not uploads.get("Uploads")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the crash ends the heartbeat, too
def test_volumes(
    app: InProcessApp, alice: Client, unit: int, monkeypatch: pytest.MonkeyPatch, use_calls: Callable[[Calls], None]
) -> None:
    """An archive with more parts than an upload may have is joined from volumes, also after a crash."""
    runner = create_export_runner(app, alice, build_files(unit, large=4))
    monkeypatch.setattr(planning, "MAX_PARTS", 3)
    export_id = runner.start_export()
    use_calls(Calls(crash_at=30))
    with pytest.raises(CrashError):  # when some volumes exist
        runner.deliver(export_id)
    use_calls(Calls())
    runner.deliver(export_id)
    assert unpack_archive(runner.read_archive(export_id))[1] == build_files(unit, large=4)


def test_plan_of_older_version(
    runner: ExportRunner, unit: int, monkeypatch: pytest.MonkeyPatch, use_calls: Callable[[Calls], None]
) -> None:
    """A worker does not use the parts of an export that another version of the program planned differently."""
    export_id = runner.start_export()
    with monkeypatch.context() as older:
        older.setattr(planning, "MIN_PART_SIZE", 5 * unit + 5)
        use_calls(Calls(crash_at=20))
        with pytest.raises(CrashError):
            runner.deliver(export_id)
    use_calls(Calls())
    runner.deliver(export_id)
    assert unpack_archive(runner.read_archive(export_id))[1] == build_files(unit)


def test_repeated_crashes_fail_the_export(runner: ExportRunner, use_calls: Callable[[Calls], None]) -> None:
    export_id = runner.start_export()
    for _ in range(export_worker.ATTEMPTS):
        use_calls(Calls(crash_at=4))
        with pytest.raises(CrashError):
            runner.deliver(export_id)
    use_calls(Calls())
    runner.deliver(export_id)
    export = runner.get_export(export_id)
    assert (export["status"], "tell an operator" in export["error"]) == ("failed", True)


def test_deleted_project_has_no_archive(runner: ExportRunner, use_calls: Callable[[Calls], None]) -> None:
    export_id = runner.start_export()
    deleted = threading.Event()

    def delete(call: str) -> None:
        if call == "CompleteMultipartUpload" and not deleted.is_set():
            deleted.set()
            assert runner.alice.delete(f"/api/projects/{runner.project_id}").status == 200

    use_calls(Calls(on_call=delete))
    runner.deliver(export_id)
    assert deleted.is_set()
    page = boto3.client("s3").list_objects_v2(Bucket=runner.app.stack.exports, Prefix=runner.project_id)
    assert [item["Key"] for item in page.get("Contents", []) if item["Key"].endswith(".zip")] == []
    runner.app.process_queues()
    assert runner.app.find_objects(runner.project_id) == []
    assert runner.app.find_items(runner.project_id) == []


def test_progress(runner: ExportRunner, monkeypatch: pytest.MonkeyPatch, use_calls: Callable[[Calls], None]) -> None:
    """The progress of an export grows, and is written at most once in each interval."""
    monkeypatch.setattr(export_worker, "LEASE", timedelta(seconds=30))
    monkeypatch.setattr(export_worker, "HEARTBEAT_INTERVAL", 0.1)
    progresses: list[Any] = []
    write_times: list[float] = []

    def read_progress(call: str) -> None:
        if call == "TransactWriteItems" and threading.current_thread() is not threading.main_thread():
            write_times.append(time.monotonic())
        elif call in {"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"}:
            time.sleep(0.15)
            progresses.append(runner.get_export(export_id)["progress"])

    export_id = runner.start_export()
    use_calls(Calls(on_call=read_progress))
    runner.deliver(export_id)
    runner.read_archive(export_id)
    done = [progress["bytes_done"] for progress in progresses]
    assert done == sorted(done)
    assert done[0] == 0
    assert 0 < done[-1] <= progresses[-1]["bytes_total"]
    assert len(write_times) > 1
    assert all(later - earlier > 0.09 for earlier, later in pairwise(write_times))
