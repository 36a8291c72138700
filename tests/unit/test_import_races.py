"""Races of imports: something else happens at each of the worker's calls to AWS.

Whatever it is, the import ends: the new project has everything, or there is none and nothing is left.
"""

import itertools
import uuid
from collections.abc import Callable

import pytest

from projects_api.domain.imports import file_copier
from tests.support.api_client import Client
from tests.support.archives import finish_export
from tests.support.imports import find_leftovers
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import interrupt_call
from tests.support.moto_snapshot import StorageSnapshot

pytestmark = [pytest.mark.memory("restores the storage between its cases"), pytest.mark.exhaustive]

BODY = b"a,b\n1,2\n"


def delete_source(app: InProcessApp, alice: Client, project_id: str, _: str) -> None:
    assert alice.delete(f"/api/projects/{project_id}").status == 200
    app.deliver([{"project_id": project_id}], "PurgeProject")


def run_in_parallel(app: InProcessApp, _: Client, __: str, import_id: str) -> None:
    app.deliver([{"import_id": import_id}], "RunImport")


def deactivate_importer(app: InProcessApp, alice: Client, _: str, __: str) -> None:
    app.invoke("DeactivateUser", {"email": alice.email})


def resume(app: InProcessApp, _: Client, __: str, ___: str) -> None:
    app.resume_stalled()


@pytest.mark.parametrize(
    ("interruption", "possible"),
    [
        (delete_source, {"ready", "failed"}),
        (run_in_parallel, {"ready"}),
        (deactivate_importer, {"ready", "failed"}),
        (resume, {"ready"}),
    ],
)
def test_interrupted_import(
    app: InProcessApp,
    monkeypatch: pytest.MonkeyPatch,
    interruption: Callable[[InProcessApp, Client, str, str], None],
    possible: set[str],
) -> None:
    """Both outcomes occur if the interruption can fail the import: before its last calls, and at them."""
    monkeypatch.setattr(file_copier, "MIN_COPY_SIZE", 4)
    monkeypatch.setattr(file_copier, "MIN_PART_SIZE", 0)
    app.reset()
    alice = app.create_user("alice")
    project_id = alice.create("Source")
    artifact = app.store_artifact(project_id, "datasets/a.csv", BODY)
    app.publish_event("Dataset Created", project_id, {"id": str(uuid.uuid4()), "name": "a.csv", "artifact": artifact})
    app.process_queues()
    export = finish_export(app, alice, project_id)["export"]
    import_id = alice.post("/api/imports", {"project_id": project_id, "export_id": export["id"]})["import"]["id"]
    snapshot = StorageSnapshot(app)
    outcomes: set[str] = set()
    for number in itertools.count():
        snapshot.restore()
        with interrupt_call(number, lambda: interruption(app, alice, project_id, import_id)) as calls:
            app.deliver([{"import_id": import_id}], "RunImport")
        if len(calls) <= number:
            break
        app.process_queues()
        app.resume_stalled()
        app.process_queues()
        (record,) = [item for item in app.find_items(import_id) if item["PK"]["S"] == f"IMPORT#{import_id}"]
        status = record["status"]["S"]
        outcomes.add(status)
        case = f"before call {number}, {calls[number]}: {record}"
        if status == "failed":
            assert find_leftovers(app, import_id) == [], case
        else:
            assert status == "ready", case
            (key,) = app.find_objects(record["project_id"]["S"])
            body = app.s3.get_object(Bucket=app.stack.artifacts, Key=key)["Body"].read()
            assert body == BODY, case
        assert app.find_broken_invariants() == [], case
    assert outcomes == possible
    print(f"\n{number} interruptions: {outcomes}")
