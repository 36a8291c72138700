"""The sample events in `events/`, the data that they refer to, and the comparison with their expected results."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from projects_api.domain import projects, uploads, users
from projects_api.domain.exports import export_requests
from projects_api.domain.imports import import_requests
from projects_api.entities.ids import UploadId, UserId
from projects_api.entities.user import ApiKey, Email, Scope
from projects_api.storage.dynamodb import upload_store, user_store
from tests.support.in_process_app import InProcessApp

FOLDER = Path(__file__).parents[2] / "events"


def _build_id(suffix: str) -> str:
    return f"01930000-0000-7000-8000-{suffix:0>12}"


PEOPLE = {"alice": _build_id("a11ce"), "bob": _build_id("b0b"), "carol": _build_id("ca401"), "dave": _build_id("dae")}
FRAUD = _build_id("f4a0d")  # Bob is its editor, Carol its viewer; it has a ready export; no event changes it
CHURN = _build_id("c4094")  # has the same members; events change it
TEAM = _build_id("7ea0")  # has the same members; events remove them, and cancel its export
HANDED = _build_id("4a4d")  # with the same members; events transfer it
ARCHIVED = _build_id("a4c41e")  # has a pending export
RETIRED = _build_id("4e71")  # an event deletes it
DELETED = _build_id("de1e7ed")  # deleted, but not purged yet
DATASETS = (_build_id("c4d1"), _build_id("c4d2"))  # of the second project
UPLOADS = (_build_id("0b10ad1"), _build_id("0b10ad2"))  # the second one has its part
ARCHIVE = _build_id("0b10ad3")  # the upload of an archive, which has its part
READY, PENDING, TO_CANCEL = _build_id("e1"), _build_id("e2"), _build_id("e3")
IMPORTED, IMPORTING = _build_id("1de0"), _build_id("1de1")  # imports of the ready export, and their projects

#: The secret of all of Alice's keys, and the key that she uses.
SECRET = "s" * 43
API_KEY = f"prj_0123456789abcdef_{SECRET}"


@dataclass(frozen=True, eq=False)
class SampleEvent:
    """A sample event.

    Attributes:
        path: The file of the event, in a folder named after the function.
        expected: The expected result of the function.
    """

    path: Path
    expected: Any

    @property
    def function(self) -> str:
        """The logical id of the function."""
        return "".join(part.title() for part in self.path.parent.name.split("_"))

    @property
    def content(self) -> Any:
        return json.loads(self.path.read_text())

    def __str__(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"


def load_sample_events() -> list[SampleEvent]:
    """Return all sample events, in the order of `expected.yaml`.

    Raises:
        ValueError: An event has no expected result, or an expected result has no event.
    """
    expected = yaml.safe_load((FOLDER / "expected.yaml").read_text())
    events = [
        SampleEvent(FOLDER / function / f"{name}.json", result)
        for function in expected
        for name, result in expected[function].items()
    ]
    if unmatched := {event.path for event in events} ^ set(FOLDER.glob("*/*.json")):
        raise ValueError(f"Events without a file or without an expected result: {sorted(map(str, unmatched))}")
    return events


def find_differences(expected: Any, actual: Any, at: str = "") -> Iterator[str]:
    """Compare a function's result with the expected one, and describe each difference.

    The result may have additional fields, but no unexpected error.

    Args:
        expected: The expected result.
        actual: The actual result.
        at: The path of both within the whole result.
    """
    if at == "" and isinstance(actual, dict) and "errorType" in actual and "errorType" not in expected:
        yield f"{actual['errorType']}: {actual.get('errorMessage')}"
    match expected, actual:
        case dict(), dict():
            for name, value in expected.items():
                yield from find_differences(value, _decode_like(actual.get(name), value), f"{at}.{name}")
        case list(), list() if len(expected) == len(actual):
            for number, pair in enumerate(zip(expected, actual, strict=True)):
                yield from find_differences(*pair, f"{at}[{number}]")
        case _ if expected != actual:
            yield f"{at}: {json.dumps(actual)} instead of {json.dumps(expected)}"


def _decode_like(value: Any, expected: Any) -> Any:
    """Decode a JSON string, such as the body of a response, if a JSON object is expected."""
    return json.loads(value) if isinstance(expected, dict) and isinstance(value, str) else value


def create_sample_data(app: InProcessApp) -> None:  # noqa: C901 - one step after the other
    """Create the data that the sample events refer to, with the functions themselves and the ids in the events."""
    with pytest.MonkeyPatch.context() as patch:

        def set_next_id(value: str) -> None:
            for module in (users, projects, uploads, export_requests, import_requests):
                patch.setattr(module, "new_id", lambda: value)

        for nick, name in (("alice", "Archer"), ("bob", "Baker"), ("carol", "Cooper"), ("dave", "Dyer")):
            set_next_id(PEOPLE[nick])
            app.invoke("RegisterUser", {"email": f"{nick}@example.com", "name": f"{nick.title()} {name}"})
        _issue_keys(app)
        for project_id, name in ((FRAUD, "Card fraud"), (CHURN, "Churn"), (TEAM, "Team"), (ARCHIVED, "Storage"),
                                 (RETIRED, "Retired"), (HANDED, "Handed over"), (DELETED, "Deleted")):  # fmt: skip
            set_next_id(project_id)
            _send_request(app, "CreateProject", "POST", "/api/projects", {"name": name})
            path = f"/api/projects/{project_id}"
            if project_id in {FRAUD, CHURN, TEAM, HANDED}:
                for member in ({"email": "bob@example.com"}, {"email": "carol@example.com", "role": "viewer"}):
                    _send_request(app, "AddMember", "POST", f"{path}/members", member, project_id=project_id)
            if project_id == FRAUD:
                _record_resources(app)
                set_next_id(READY)
                app.invoke("ScheduleExports", {})
                _assemble(app, FRAUD, READY)
        for import_id in (IMPORTED, IMPORTING):
            set_next_id(import_id)
            copied = {"project_id": FRAUD, "export_id": READY, "name": "Imported copy"}
            _send_request(app, "StartImport", "POST", "/api/imports", copied)
        assert app.deliver([{"import_id": IMPORTED}], "RunImport") == []
        for resource_id in DATASETS:
            resource = {"id": resource_id, "name": "customers.csv"}
            assert app.deliver([app.build_event("Dataset Created", CHURN, resource)]) == []
        for upload_id in UPLOADS:
            set_next_id(upload_id)
            _start_upload(app, upload_id, with_part=upload_id == UPLOADS[-1])
        set_next_id(ARCHIVE)
        _send_request(app, "StartImport", "POST", "/api/imports", {"size_bytes": 5})
        _upload_part(app, ARCHIVE)
        set_next_id(PENDING)
        _start_export(app, ARCHIVED)
        set_next_id(TO_CANCEL)
        _start_export(app, TEAM)
        _send_request(app, "DeleteProject", "DELETE", f"/api/projects/{DELETED}", None, project_id=DELETED)


def _start_export(app: InProcessApp, project_id: str) -> None:
    path = f"/api/projects/{project_id}/exports"
    _send_request(app, "StartExport", "POST", path, None, project_id=project_id)


def _issue_keys(app: InProcessApp) -> None:
    """Create Alice's keys with the same secret: one to use, one for events to revoke, one expired and one revoked."""
    now = datetime.now(UTC)
    secret, scopes = sha256(SECRET.encode()).hexdigest(), frozenset({Scope.READ, Scope.WRITE})
    for key_id, expires_at in (
        ("0123456789abcdef", None),
        ("00000000000000a0", None),
        ("00000000000000e0", now - timedelta(days=1)),
        ("00000000000000f0", None),
    ):
        owner = (UserId(PEOPLE["alice"]), Email("alice@example.com"), "Alice Archer")
        user_store.insert_api_key(ApiKey(key_id, *owner, secret, scopes, now, expires_at))
    app.invoke("RevokeApiKey", {"key_id": "00000000000000f0"})


def _send_request(app: InProcessApp, function: str, method: str, path: str, body: Any, **parameters: str) -> None:
    """Invoke a route's function with a request of Alice's."""
    event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "pathParameters": parameters,
        "body": json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "http": {"method": method, "path": path},
            "stage": "$default",
            "authorizer": {"lambda": {"user_id": PEOPLE["alice"], "email": "alice@example.com",
                                      "name": "Alice Archer", "key_id": "0123456789abcdef", "scopes": "read write"}},
        },
    }  # fmt: skip
    response = app.invoke(function, event)
    assert response["statusCode"] in range(200, 300), response


def _record_resources(app: InProcessApp) -> None:
    """Record the dataset, the experiment and the model of the fraud project."""
    number = itertools.count(9)
    for type_, resource in (
        ("Dataset", {"id": _build_id("da1"), "name": "transactions.csv", "rows": 50_000, "columns": 15,
                     "artifact": app.store_artifact(FRAUD, "datasets/transactions.csv", b"amount,fraud\n" * 1000)}),
        ("Experiment", {"id": _build_id("e41"), "name": "baseline", "status": "completed", "duration": 84.5}),
        ("Model", {"id": _build_id("30d1"), "name": "gradient-boosting.bin",
                   "artifact": app.store_artifact(FRAUD, "models/gradient-boosting.bin", bytes(range(256)) * 100)}),
    ):  # fmt: skip
        detail = {"project_id": FRAUD, "occurred_at": f"2026-02-10T{next(number):02}:00:00Z", "resource": resource}
        event = {"detail-type": f"{type_} Created", "source": "mlplatform.tests", "detail": detail}
        assert app.deliver([event]) == []


def _start_upload(app: InProcessApp, upload_id: str, *, with_part: bool) -> None:
    """Start Alice's upload of a model's file, and upload its part."""
    file = {"name": "churn.bin", "size_bytes": 5, "content_type": "application/octet-stream"}
    body = {"type": "model", "name": "churn.bin", "file": file}
    path = f"/api/projects/{CHURN}/resources"
    _send_request(app, "CreateResource", "POST", path, body, project_id=CHURN)
    if with_part:
        _upload_part(app, upload_id)


def _upload_part(app: InProcessApp, upload_id: str) -> None:
    """Upload the part of one of Alice's uploads."""
    upload = upload_store.get(UserId(PEOPLE["alice"]), UploadId(upload_id))
    assert upload
    target = {"Bucket": app.stack.artifacts, "Key": upload.key, "UploadId": upload.s3_upload_id}
    app.s3.upload_part(**target, PartNumber=1, Body=b"churn")


def _assemble(app: InProcessApp, project_id: str, export_id: str) -> None:
    assert app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport") == []
