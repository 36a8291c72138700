"""The sweep: artifacts in the folders of projects that do not exist."""

import uuid
from collections.abc import Callable

import pytest

from projects_api.domain import artifact_sweep
from projects_api.storage.s3 import artifact_store
from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp
from tests.support.uploads import upload_file


def list_current(app: InProcessApp) -> list[str]:
    found = app.s3.list_objects_v2(Bucket=app.stack.artifacts).get("Contents", [])
    return sorted(item["Key"] for item in found)


@pytest.fixture(autouse=True)
def empty(app: InProcessApp) -> None:
    app.reset()


def test_orphans_are_deleted(app: InProcessApp, alice: Client) -> None:
    """An object that was uploaded after its project was purged goes. No other object does."""
    alice = app.create_user("alice")
    live_id, deleted_id, purged_id = alice.create("Live"), alice.create("Deleted"), alice.create("Purged")
    upload_file(alice, live_id, "a.csv", b"a")
    alice.delete(f"/api/projects/{purged_id}")
    app.process_queues()
    app.store_artifact(purged_id, "datasets/late.csv", b"late")
    app.store_artifact(str(uuid.uuid4()), "never/existed", b"x")
    kept = [
        app.store_artifact(live_id, "models/m.bin", b"m")["key"],
        app.store_artifact(deleted_id, "models/m.bin", b"m")["key"],
        app.store_artifact("not-an-id", "file", b"f")["key"],
    ]
    app.s3.put_object(Bucket=app.stack.artifacts, Key="uploads/import.zip", Body=b"z")
    before = list_current(app)
    alice.delete(f"/api/projects/{deleted_id}")  # its purge has not run: the purge deletes its artifacts
    result = app.invoke("SweepArtifacts", {})
    assert result["deleted"] == 2
    after = list_current(app)
    assert set(kept) <= set(after)
    assert "uploads/import.zip" in after
    assert [key for key in before if key not in after] == sorted(
        key for key in before if purged_id in key or "never" in key
    )
    assert app.invoke("SweepArtifacts", {})["deleted"] == 0
    app.process_queues()


def stop_after(calls: int) -> Callable[[], bool]:
    """Return a function that returns False from a number of calls on."""
    remaining = iter(range(calls))
    return lambda: next(remaining, None) is not None


def test_sweep_continues_where_it_stopped(app: InProcessApp, alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is out of time stops after a page, and the next run continues after it."""
    for number in range(5):
        app.store_artifact(f"0000000{number}-0000-4000-8000-000000000000", "orphan", b"o")
    real = artifact_store.list_folders

    def list_one_by_one(*, after: str) -> object:
        """SeaweedFS also lists the empty folders of deleted objects. S3 has no empty folders."""
        for folders in real(after=after):
            yield from ([folder] for folder in folders if folder.startswith("0000000"))

    monkeypatch.setattr(artifact_store, "list_folders", list_one_by_one)
    swept = [artifact_sweep.sweep(should_continue=stop_after(3)) for _ in range(3)]
    assert [result.projects for result in swept] == [2, 2, 1]
    assert [result.artifacts for result in swept] == [2, 2, 1]
    assert list_current(app) == []
    app.store_artifact("00000000-0000-4000-8000-000000000000", "another", b"o")
    assert artifact_sweep.sweep(should_continue=lambda: True).artifacts == 1
