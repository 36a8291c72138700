"""What a worker makes of an export, whatever happens to it meanwhile."""

import threading
import time
from collections.abc import Callable
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
from tests.support.archives import unpacked
from tests.support.export_runs import Exported, put_together
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import DeathError

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_dead")


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
    make_api_call, send = BaseClient._make_api_call, fast_get._send  # type: ignore[attr-defined]  # in no stub

    def counted_call(client: BaseClient, name: str, parameters: Any) -> Any:
        return through[-1](name, lambda: make_api_call(client, name, parameters))

    def counted_send(request: Any) -> Any:
        return through[-1]("GetObject", lambda: send(request))

    monkeypatch.setattr(BaseClient, "_make_api_call", counted_call)
    monkeypatch.setattr(fast_get, "_send", counted_send)
    through.append(Calls())
    return through.append


def contents(unit: int, large: int = 1) -> dict[str, bytes]:
    """Files whose archive has parts of each kind: copied, gathered, made last."""
    files = {f"models/{number}.bin": bytes([number]) * (11 * unit + number) for number in range(1, large + 1)}
    return files | {"data/a.csv": b"a,b\n" * 100, "data/empty": b"", "reports/z.md": b"# Report\n"}


@pytest.fixture
def exported(app: InProcessApp, alice: Client, unit: int) -> Exported:
    return put_together(app, alice, contents(unit))


def test_killed_at_every_call_in_turn_it_ends_with_the_same_archive_and_leaves_nothing(
    exported: Exported, unit: int, calls: Callable[[Calls], None]
) -> None:
    whole = Calls()
    export_id = exported.start()
    calls(whole)
    exported.deliver(export_id)
    calls(Calls())
    expected = exported.archive(export_id)
    assert unpacked(expected)[1] == contents(unit)
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
    parts = 0

    def count_parts(name: str) -> None:
        nonlocal parts
        parts += name in {"UploadPart", "UploadPartCopy"}

    def five_pieces() -> Callable[[], bool]:
        asked = iter(range(5))
        return lambda: next(asked, None) is not None

    calls(Calls(at=count_parts))
    export_id = exported.start()
    runs = exported.runs(export_id, five_pieces)
    assert runs > 1
    assert parts == 3
    assert unpacked(exported.archive(export_id))[1] == contents(unit)


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
    s3, bucket = boto3.client("s3"), exported.app.stack.artifacts
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
    left = s3.list_objects_v2(Bucket=exported.app.stack.exports, Prefix=f"{exported.project_id}/{export_id}")
    assert "Contents" not in left
    uploads = s3.list_multipart_uploads(Bucket=exported.app.stack.exports, Prefix=exported.project_id)
    assert not uploads.get("Uploads")


def test_more_parts_than_an_upload_takes_are_joined_from_volumes(
    app: InProcessApp, alice: Client, unit: int, monkeypatch: pytest.MonkeyPatch, calls: Callable[[Calls], None]
) -> None:
    exported = put_together(app, alice, contents(unit, large=4))
    monkeypatch.setattr(planning, "MAX_PARTS", 3)
    export_id = exported.start()
    calls(Calls(deadly=30))
    with pytest.raises(DeathError):  # on the way, with volumes made
        exported.deliver(export_id)
    calls(Calls())
    exported.deliver(export_id)
    assert unpacked(exported.archive(export_id))[1] == contents(unit, large=4)


def test_a_plan_of_another_version_of_the_program_is_not_mixed_with_its_own(
    exported: Exported, unit: int, monkeypatch: pytest.MonkeyPatch, calls: Callable[[Calls], None]
) -> None:
    export_id = exported.start()
    with monkeypatch.context() as older:
        older.setattr(planning, "MIN_PART_SIZE", 5 * unit + 5)
        calls(Calls(deadly=20))
        with pytest.raises(DeathError):
            exported.deliver(export_id)
    calls(Calls())
    exported.deliver(export_id)
    assert unpacked(exported.archive(export_id))[1] == contents(unit)


def test_a_worker_that_dies_again_and_again_fails_the_export(
    exported: Exported, calls: Callable[[Calls], None]
) -> None:
    export_id = exported.start()
    for _ in range(export_worker.ATTEMPTS):
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
    listed = boto3.client("s3").list_objects_v2(Bucket=exported.app.stack.exports, Prefix=exported.project_id)
    assert [one["Key"] for one in listed.get("Contents", []) if one["Key"].endswith(".zip")] == []
    exported.app.process_queues()
    assert exported.app.objects(exported.project_id) == []
    assert exported.app.items(exported.project_id) == []


def test_progress_grows_and_is_written_no_more_than_once_a_second(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, calls: Callable[[Calls], None]
) -> None:
    monkeypatch.setattr(export_worker, "LEASE", timedelta(seconds=30))
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
