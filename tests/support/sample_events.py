"""The events in ``events/``: what their ids stand for, and whether an answer is the one expected."""

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

from projects_api.domain import projects, users
from projects_api.domain.exports import export_requests
from projects_api.entities.ids import UserId
from projects_api.entities.user import ApiKey, Email, Scope
from projects_api.storage.dynamodb import user_store
from tests.support.in_process_app import InProcessApp

FOLDER = Path(__file__).parents[2] / "events"


def _id(end: str) -> str:
    return f"01930000-0000-7000-8000-{end:0>12}"


PEOPLE = {"alice": _id("a11ce"), "bob": _id("b0b"), "carol": _id("ca401"), "dave": _id("dae")}
FRAUD = _id("f4a0d")  # Bob edits and Carol views it; an export of it is ready, and no event changes it
CHURN = _id("c4094")  # the same people, for events that change a project
TEAM = _id("7ea0")  # the same people, for events by which they go
ARCHIVED = _id("a4c41e")  # an export of it is pending
RETIRED = _id("4e71")  # to be deleted
DELETED = _id("de1e7ed")  # deleted, and not purged yet
READY, PENDING = _id("e1"), _id("e2")

#: Alice's key, and the secret of all of hers.
SECRET = "s" * 43
API_KEY = f"prj_0123456789abcdef_{SECRET}"


@dataclass(frozen=True, eq=False)
class Event:
    """An event, the function that it is for, and what that is to answer."""

    path: Path
    expected: Any

    @property
    def function(self) -> str:
        """The function's name in the template."""
        return "".join(part.title() for part in self.path.parent.name.split("_"))

    @property
    def content(self) -> Any:
        return json.loads(self.path.read_text())

    def __str__(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"


def events() -> list[Event]:
    """All events, in the order in which ``expected.yaml`` names them.

    Raises:
        ValueError: A file has no expected answer, or the other way about.
    """
    expected = yaml.safe_load((FOLDER / "expected.yaml").read_text())
    found = [
        Event(FOLDER / function / f"{name}.json", answer)
        for function in expected
        for name, answer in expected[function].items()
    ]
    if unmatched := {one.path for one in found} ^ set(FOLDER.glob("*/*.json")):
        raise ValueError(f"Without a file or without an expected answer: {sorted(map(str, unmatched))}")
    return found


def differences(expected: Any, answer: Any, at: str = "") -> Iterator[str]:
    """Where an answer is not what is expected of it. It may hold more fields, and no errors that are not expected."""
    if at == "" and isinstance(answer, dict) and "errorType" in answer and "errorType" not in expected:
        yield f"{answer['errorType']}: {answer.get('errorMessage')}"
    match expected, answer:
        case dict(), dict():
            for name, value in expected.items():
                yield from differences(value, _opened(answer.get(name), value), f"{at}.{name}")
        case list(), list() if len(expected) == len(answer):
            for number, pair in enumerate(zip(expected, answer, strict=True)):
                yield from differences(*pair, f"{at}[{number}]")
        case _ if expected != answer:
            yield f"{at}: {json.dumps(answer)} instead of {json.dumps(expected)}"


def _opened(value: Any, like: Any) -> Any:
    """A body is a text of JSON."""
    return json.loads(value) if isinstance(like, dict) and isinstance(value, str) else value


def seed(app: InProcessApp) -> None:
    """Puts in what the events ask for, by the functions themselves, with the ids that the events name."""
    with pytest.MonkeyPatch.context() as patch:

        def next_id(value: str) -> None:
            for module in (users, projects, export_requests):
                patch.setattr(module, "new_id", lambda: value)

        for nick, name in (("alice", "Archer"), ("bob", "Baker"), ("carol", "Cooper"), ("dave", "Dyer")):
            next_id(PEOPLE[nick])
            app.invoke("RegisterUser", {"email": f"{nick}@example.com", "name": f"{nick.title()} {name}"})
        _issue_keys(app)
        for project_id, name in ((FRAUD, "Card fraud"), (CHURN, "Churn"), (TEAM, "Team"), (ARCHIVED, "Storage"),
                                 (RETIRED, "Retired"), (DELETED, "Deleted")):  # fmt: skip
            next_id(project_id)
            _ask(app, "CreateProject", "POST", "/api/projects", {"name": name})
            path = f"/api/projects/{project_id}"
            if project_id in {FRAUD, CHURN, TEAM}:
                for member in ({"email": "bob@example.com"}, {"email": "carol@example.com", "role": "viewer"}):
                    _ask(app, "AddMember", "POST", f"{path}/members", member, project_id=project_id)
            if project_id == FRAUD:
                _record_resources(app)
                next_id(READY)
                app.invoke("ScheduleExports", {})
                _assemble(app, FRAUD, READY)
        next_id(PENDING)
        _ask(app, "StartExport", "POST", f"/api/projects/{ARCHIVED}/exports", None, project_id=ARCHIVED)
        _ask(app, "DeleteProject", "DELETE", f"/api/projects/{DELETED}", None, project_id=DELETED)


def _issue_keys(app: InProcessApp) -> None:
    """Alice's keys, with the same secret: one in use, one that is to be revoked, an expired one and a revoked one."""
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


def _ask(app: InProcessApp, function: str, method: str, path: str, body: Any, **parameters: str) -> None:
    """Has a route's function answer Alice."""
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
    answer = app.invoke(function, event)
    assert answer["statusCode"] in range(200, 300), answer


def _record_resources(app: InProcessApp) -> None:
    """The fraud project's dataset, experiment and model."""
    number = itertools.count(9)
    for type_, resource in (
        ("Dataset", {"id": _id("da1"), "name": "transactions.csv", "rows": 50_000, "columns": 15,
                     "artifact": app.store(FRAUD, "datasets/transactions.csv", b"amount,fraud\n" * 1000)}),
        ("Experiment", {"id": _id("e41"), "name": "baseline", "status": "completed", "duration": 84.5}),
        ("Model", {"id": _id("30d1"), "name": "gradient-boosting.bin",
                   "artifact": app.store(FRAUD, "models/gradient-boosting.bin", bytes(range(256)) * 100)}),
    ):  # fmt: skip
        detail = {"project_id": FRAUD, "occurred_at": f"2026-02-10T{next(number):02}:00:00Z", "resource": resource}
        event = {"detail-type": f"{type_} Created", "source": "mlplatform.tests", "detail": detail}
        assert app.deliver([event]) == []


def _assemble(app: InProcessApp, project_id: str, export_id: str) -> None:
    assert app.deliver([{"project_id": project_id, "export_id": export_id}], "AssembleExport") == []
