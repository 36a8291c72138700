"""Fault injection: every call of every function to AWS fails once, in each way that the function can tell apart.

The caller gets the correct response, or an error in JSON that reveals no internals. A repeated request leaves the same
state as a request without the fault.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache

import pytest
from botocore.exceptions import ClientError

from projects_api.domain.exports import export_requests
from projects_api.domain.imports import file_copier, import_worker
from projects_api.entities.errors import StorageUnavailableError
from projects_api.storage.dynamodb import keys
from tests.support import imports
from tests.support.api_client import Response
from tests.support.fault_actions import ACTIONS, AT_LEAST_ONCE, Action, Scene, create_scene, run_failing_import
from tests.support.fault_injection import READ_PREFIXES, Fault, inject_fault
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import CrashError
from tests.support.moto_snapshot import StorageSnapshot

pytestmark = [pytest.mark.memory, pytest.mark.exhaustive]

#: One fault of each kind that a function can tell apart. A crash before a call is the same as one after the last write.
#: tests/unit/test_storage_errors.py proves that the other faults look like one of these, or like no fault, once the
#: client has retried.
WRITE_FAULTS = (
    Fault.THROTTLED,
    Fault.ACCESS_DENIED,
    Fault.RESPONSE_LOST,
    Fault.RESPONSE_LOST_ONCE,
    Fault.CRASH_AFTER,
)

#: A read has no effect, so that a crash before or after it is the same as one after the last write before it.
READ_FAULTS = (Fault.THROTTLED, Fault.ACCESS_DENIED)

#: The operations that DynamoDB rejects while a transaction writes the same item.
CONFLICTING_OPERATIONS = {"TransactWriteItems", "UpdateItem"}


def find_faults(operation: str) -> tuple[Fault, ...]:
    """Return the faults that a function can tell apart at a call of this operation."""
    if operation.startswith(READ_PREFIXES):
        return READ_FAULTS
    return (*WRITE_FAULTS, Fault.CONFLICTS) if operation in CONFLICTING_OPERATIONS else WRITE_FAULTS


#: The operations with which an import fails for good if S3 refuses them: those on the archive and on its files.
REFUSABLE_OPERATIONS = {"HeadObject", "GetObject", "PutObject", "CreateMultipartUpload", "UploadPartCopy",
                        "CompleteMultipartUpload"}  # fmt: skip

FAILED, DONE = "failed", "done"


def run_action(action: Action) -> int | str:
    """Run an action, and check the response of the API if there is one.

    Returns:
        The status of the response. `DONE` or `FAILED` for a function that has no HTTP response.
    """
    try:
        result = action()
    except (CrashError, StorageUnavailableError, ClientError):
        return FAILED
    if isinstance(result, list):  # the messages to deliver again
        return FAILED if result else DONE
    if not isinstance(result, Response):
        return FAILED if result.get("failed") else DONE
    if result.status >= 400:
        assert isinstance(result.json.get("detail", result.json.get("message")), str), result
        assert not re.search(rb"Traceback|botocore|arn:|Error\b|PROJECT#|\.py", result.body), result
    if result.status == 503:
        assert int(result.headers["Retry-After"]) > 0
    return result.status


def finish_pending_work(app: InProcessApp) -> None:
    """Process all messages, and let the recovery job finish the rest, as it does in time."""
    app.process_queues()
    if any(item.get("pending_work", {}).get("S", "DUE")[:3] != "DUE" for item in app.find_items("")):
        app.resume_stalled()
        app.process_queues()


@cache
def replace_random_values(text: str) -> str:
    """Replace the ids, times, revisions and secrets in an item, an object key or a dead letter."""
    for pattern, label in (
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
        (r"(DUE|EXPORT|IMPORT|PURGE|ANNOUNCEMENT|UPLOAD|FILE)#\d", r"\1"),
        (r"#[0-9a-f]{16}\b", "#DIGEST"),
        (r'"(secret_sha256|s3_upload_id|revision|expires_at|size_bytes|bytes_\w+)": \{[^}]*\}', r'"\1"'),
        (r"APIKEY#[0-9a-f]{16}|(?<=\"id\": \{\"S\": \")[0-9a-f]{16}", "APIKEY"),
    ):
        text = re.sub(pattern, label, text)
    return text


def read_state(scene: Scene) -> Counter[str]:
    """Return all items, objects and new dead letters, without the values that differ from run to run."""
    items = [json.dumps(item, sort_keys=True) for item in scene.app.find_items("")]
    dead_letters = [json.dumps(letter) for letter in scene.app.take_dead_letters()]
    texts = items + dead_letters + scene.app.find_objects("")
    return Counter(replace_random_values(text.replace(scene.project_id, "PROJECT")) for text in texts)


def find_leftovers_of_failed_import(app: InProcessApp, error: str) -> list[str]:
    """Check that the only import has failed with an error, and return what it has left."""
    (record,) = [item for item in app.find_items("") if item["PK"]["S"].startswith("IMPORT#")]
    assert (record["status"]["S"], error in record["errors"]["S"]) == ("failed", True), record
    return imports.find_leftovers(app, record["id"]["S"])


@pytest.fixture(autouse=True)
def fast_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for archives and leases, copy the smallest files inside S3, and use one shard for pending work."""
    monkeypatch.setattr(export_requests, "WAIT", 0.0)
    monkeypatch.setattr(keys, "PENDING_WORK_SHARDS", 1)
    monkeypatch.setattr(import_worker, "LEASE", timedelta(seconds=-1))
    monkeypatch.setattr(file_copier, "MIN_COPY_SIZE", 4)
    monkeypatch.setattr(file_copier, "MIN_PART_SIZE", 0)


@pytest.fixture(scope="module")
def case_counts() -> Iterator[Counter[str]]:
    """Count the injected faults per function, and print the counts at the end."""
    counts: Counter[str] = Counter()
    yield counts
    print(f"\n{counts.total()} faults in the calls of {len(counts)} functions: {dict(counts)}")


@pytest.mark.parametrize(
    ("function", "prepare", "repeat_status"), ACTIONS, ids=[prepare.__name__ for _, prepare, _ in ACTIONS]
)
def test_fault_in_any_call(
    app: InProcessApp,
    case_counts: Counter[str],
    function: str,
    prepare: Callable[[Scene], Action],
    repeat_status: int,
) -> None:
    """The caller gets a clear error or the correct response, and a repeat reaches the state without the fault."""
    app.reset()
    scene = create_scene(app)
    action = prepare(scene)
    snapshot = StorageSnapshot(app)
    with inject_fault(app, function) as network:
        expected = run_action(action)
    assert expected != FAILED
    assert network.calls
    finish_pending_work(app)
    if prepare is run_failing_import:
        assert find_leftovers_of_failed_import(app, "its checksum is wrong") == []
    expected_state = read_state(scene)
    for number, operation in enumerate(network.calls):
        for fault in find_faults(operation):
            case = f"{function}: call {number}, {operation}: {fault.value}"
            snapshot.restore()
            with inject_fault(app, function, failing_call=number, fault=fault):
                outcome = run_action(action)
            case_counts[function] += 1
            if fault.is_transient:
                assert outcome == expected, case
            assert run_action(action) in {expected, repeat_status or DONE}, case
            finish_pending_work(app)
            if function == "RunImport" and fault is Fault.ACCESS_DENIED and operation in REFUSABLE_OPERATIONS:
                assert find_leftovers_of_failed_import(app, "AccessDenied") == [], case
                continue
            state = read_state(scene)
            if prepare in AT_LEAST_ONCE:
                assert state.keys() == expected_state.keys(), case
            else:
                assert state == expected_state, case
