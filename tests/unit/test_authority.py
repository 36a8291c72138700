"""Authorization: one table with the status of the response to every kind of caller on every route."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp
from tests.support.moto_snapshot import StorageSnapshot
from tests.support.uploads import describe, put_parts, upload_file

pytestmark = pytest.mark.memory

#: The expected status for each caller. The first five callers have keys with the scopes read and write. The others are
#: the owner without a key, with a wrong secret, with a revoked or expired key, and with keys of a single scope.
TABLE = """
                                  owner admin editor viewer stranger | none wrong revoked expired | read: write: admin:
GET    /projects                  200   200   200    200    200      | 401  403   403     403     | 200   403    200
POST   /projects                  201   201   201    201    201      | 401  403   403     403     | 403   201    201
GET    /projects/P                200   200   200    200    404      | 401  403   403     403     | 200   403    200
PUT    /projects/P                200   200   200    403    404      | 401  403   403     403     | 403   200    200
DELETE /projects/P                200   403   403    403    404      | 401  403   403     403     | 403   200    200
GET    /projects/P/members        200   200   200    200    404      | 401  403   403     403     | 200   403    200
POST   /projects/P/members add    201   403   403    403    404      | 401  403   403     403     | 403   201    201
POST   /projects/P/members change 200   403   403    403    404      | 401  403   403     403     | 403   200    200
POST   /projects/P/members rise   409   403   403    403    404      | 401  403   403     403     | 403   409    409
POST   /projects/P/members usurp  422   422   422    422    422      | 401  403   403     403     | 422   422    422
POST   /projects/P/members demote 409   403   403    403    404      | 401  403   403     403     | 403   409    409
POST   /projects/P/members nobody 404   403   403    403    404      | 401  403   403     403     | 403   404    404
DELETE /projects/P/members/MEMBER 200   403   403    403    404      | 401  403   403     403     | 403   200    200
DELETE /projects/P/members/SELF   409   200   200    200    404      | 401  403   403     403     | 403   409    409
DELETE /projects/P/members/OWNER  409   403   403    403    404      | 401  403   403     403     | 403   409    409
DELETE /projects/P/members/NOBODY 404   403   403    403    404      | 401  403   403     403     | 403   404    404
PUT    /projects/P/owner MEMBER   200   403   403    403    404      | 401  403   403     403     | 403   200    200
PUT    /projects/P/owner NOBODY   404   403   403    403    404      | 401  403   403     403     | 403   404    404
PUT    /projects/P/owner SAME     200   403   403    403    404      | 401  403   403     403     | 403   200    200
GET    /me                        200   200   200    200    200      | 401  403   403     403     | 200   403    200
GET    /projects/P/timeline       200   200   200    200    404      | 401  403   403     403     | 200   403    200
GET    /projects/P/activity       200   200   403    403    404      | 401  403   403     403     | 200   403    200
GET    /projects/P/resources      200   200   200    200    404      | 401  403   403     403     | 200   403    200
POST   /projects/P/resources res  201   201   201    403    404      | 401  403   403     403     | 403   201    201
POST   /projects/P/resources file 201   201   201    403    404      | 401  403   403     403     | 403   201    201
GET    /projects/P/resources/R    200   200   200    200    404      | 401  403   403     403     | 200   403    200
PUT    /projects/P/resources/R    200   200   200    403    404      | 401  403   403     403     | 403   200    200
PUT    /projects/P/resources/R f2 200   200   200    403    404      | 401  403   403     403     | 403   200    200
DELETE /projects/P/resources/R    200   200   200    403    404      | 401  403   403     403     | 403   200    200
DELETE /projects/P/resources/NONE 404   404   404    403    404      | 401  403   403     403     | 403   404    404
POST   /uploads/U/parts x         200   404   404    404    404      | 401  403   403     403     | 403   200    200
POST   /uploads/A/parts x         200   404   404    404    404      | 401  403   403     403     | 403   200    200
POST   /uploads/A/complete x      202   404   404    404    404      | 401  403   403     403     | 403   202    202
POST   /uploads/U/complete x      409   404   404    404    404      | 401  403   403     403     | 403   409    409
GET    /projects/P/export         202   202   202    202    404      | 401  403   403     403     | 202   403    202
POST   /projects/P/exports        202   202   202    202    404      | 401  403   403     403     | 403   202    202
POST   /projects/P/exports fresh  202   202   202    403    404      | 401  403   403     403     | 403   202    202
GET    /projects/P/exports        200   200   200    200    404      | 401  403   403     403     | 200   403    200
GET    /projects/P/exports/E      200   200   200    200    404      | 401  403   403     403     | 200   403    200
DELETE /projects/P/exports/NEW    200   200   403    403    404      | 401  403   403     403     | 403   200    200
DELETE /projects/P/exports/E      409   409   403    403    404      | 401  403   403     403     | 403   409    409
DELETE /projects/P/exports/NONE   404   404   403    403    404      | 401  403   403     403     | 403   404    404
GET    /projects/P/exports/NONE   404   404   404    404    404      | 401  403   403     403     | 404   403    404
POST   /imports copy              202   202   202    202    404      | 401  403   403     403     | 403   202    202
POST   /imports archive           201   201   201    201    201      | 401  403   403     403     | 403   201    201
GET    /imports/I                 200   404   404    404    404      | 401  403   403     403     | 200   403    200
GET    /imports/NONE              404   404   404    404    404      | 401  403   403     403     | 404   403    404
GET    /projects/GONE             404   404   404    404    404      | 401  403   403     403     | 404   403    404
GET    /openapi.json              200   200   200    200    200      | 200  200   200     200     | 200   200    200
GET    /docs                      200   200   200    200    200      | 200  200   200     200     | 200   200    200
"""
HEAD, *ROWS = [line.replace("|", " ") for line in TABLE.strip("\n").splitlines()]
CALLERS = HEAD.split()
NO_SUCH = "00000000-0000-4000-8000-000000000000"


@dataclass
class Scenario:
    """A project with a member of each role, a ready and a pending export and a copy, and the callers.

    Attributes:
        callers: The caller of each column.
        member: A member whom requests change or remove.
        newcomer: A user whom requests add.
        ids: The ids that the names in the paths stand for.
    """

    callers: dict[str, Client]
    member: Client
    newcomer: Client
    ids: dict[str, str]

    def build_request(self, row: str, caller: Client) -> tuple[str, str, Any]:
        """Return the method, the path and the body of a row's request by a caller."""
        method, path, *rest = row.split()
        for name, value in (self.ids | {"SELF": caller.user_id}).items():
            path = "/".join(value if part == name else part for part in path.split("/"))
        bodies = {
            "add": {"email": self.newcomer.email},
            "change": {"email": self.member.email, "role": "viewer"},
            "rise": {"email": caller.email, "role": "admin"},
            "usurp": {"email": caller.email, "role": "owner"},
            "demote": {"email": self.callers["owner"].email, "role": "viewer"},
            "nobody": {"email": "nobody@example.com"},
            "MEMBER": {"email": self.member.email},
            "NOBODY": {"email": self.newcomer.email},
            "SAME": {"email": self.callers["owner"].email},
            "res": {"type": "model", "name": "m"},
            "file": describe("b.csv", b"b"),
            "f2": describe("b.csv", b"b"),
            "x": {},
            "copy": {"project_id": self.ids["P"], "export_id": self.ids["E"]},
            "fresh": {"fresh": True},
            "archive": {"size_bytes": 2},
        }
        body = bodies.get(rest[0], {"name": "Another"} if method in {"PUT", "POST"} else None)
        return method, f"/api{path}", body


@pytest.fixture(scope="module")
def scenario(app: InProcessApp) -> tuple[Scenario, StorageSnapshot]:
    """Create the scenario, and a snapshot of it."""
    roles = {nick: app.create_user(nick) for nick in ("owner", "admin", "editor", "viewer", "stranger")}
    owner, member, newcomer = roles["owner"], app.create_user("member"), app.create_user("newcomer")
    project_id, deleted_id = owner.create(), owner.create("Gone")
    owner.delete(f"/api/projects/{deleted_id}")
    for nick in ("admin", "editor", "viewer"):
        owner.post(f"/api/projects/{project_id}/members", {"email": roles[nick].email, "role": nick})
    owner.post(f"/api/projects/{project_id}/members", {"email": member.email})
    resource_id = upload_file(owner, project_id, "a.csv", b"a")["id"]
    upload_id = owner.post(f"/api/projects/{project_id}/resources", describe("b.csv", b"b"))["upload"]["id"]
    archive = owner.post("/api/imports", {"size_bytes": 2})["upload"]
    put_parts(archive, b"PK")
    export_id = owner.post(f"/api/projects/{project_id}/exports")["export"]["id"]
    app.process_queues()
    copy = owner.post("/api/imports", {"project_id": project_id, "export_id": export_id})
    app.process_queues()
    pending_id = owner.post(f"/api/projects/{project_id}/exports", {"fresh": True})["export"]["id"]

    def create_key(*scopes: str, expires_at: datetime | None = None) -> Client:
        event = {"email": owner.email, "scopes": scopes, "expires_at": expires_at and expires_at.isoformat()}
        api_key = app.invoke("CreateApiKey", event)["api_key"]
        return Client(app.send, api_key, owner.user_id, owner.email)

    revoked, soon = create_key("read", "write"), datetime.now(UTC) + timedelta(seconds=0.5)
    expired = create_key("read", "write", expires_at=soon)
    app.invoke("RevokeApiKey", {"key_id": revoked.api_key.split("_")[1]})
    time.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()))
    callers = roles | {
        "none": Client(app.send, "", owner.user_id, owner.email),
        "wrong": Client(app.send, owner.api_key[:-43] + "A" * 43, owner.user_id, owner.email),
        "revoked": revoked,
        "expired": expired,
        "read:": create_key("read"),
        "write:": create_key("write"),
        "admin:": create_key("admin"),
    }
    ids = {
        "P": project_id,
        "E": export_id,
        "R": resource_id,
        "U": upload_id,
        "A": archive["id"],
        "I": copy["import"]["id"],
        "NEW": pending_id,
        "GONE": deleted_id,
        "NONE": NO_SUCH,
        "NOBODY": NO_SUCH,
        "MEMBER": member.user_id,
        "OWNER": owner.user_id,
    }
    for caller in callers.values():
        caller.get("/api/me")  # the first use of a key on a day is stored
    return Scenario(callers, member, newcomer, ids), StorageSnapshot(app)


@pytest.fixture(scope="module")
def cells() -> Iterator[list[str]]:
    """Collect the cells of the table that are tested, and print their number at the end."""
    cells: list[str] = []
    yield cells
    print(f"\n{len(cells)} cells: {len(CALLERS)} kinds of callers on {len(ROWS)} kinds of requests")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row.split()[: -len(CALLERS)]))
def test_table(scenario: tuple[Scenario, StorageSnapshot], cells: list[str], row: str) -> None:
    """Every response has the status in the table, and a rejected request changes nothing."""
    project, before = scenario
    expected = [int(status) for status in row.split()[-len(CALLERS) :]]
    actual = []
    for nick in CALLERS:
        before.restore()
        method, path, body = project.build_request(row, project.callers[nick])
        response = project.callers[nick].request(method, path, body, Accept="application/json")
        actual.append(response.status)
        cells.append(nick)
        if response.status >= 400:
            assert response.json.get("detail") or response.json.get("message"), (nick, response)
            assert before.is_unchanged(), (nick, response)
    assert dict(zip(CALLERS, actual, strict=True)) == dict(zip(CALLERS, expected, strict=True))


def test_table_has_every_route(app: InProcessApp) -> None:
    document = Client(app.send).get("/api/openapi.json").json
    routes = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    tested = set()
    for row in ROWS:
        method, path = row.split()[:2]
        for part, parameter in (
            ("/P", "/{project_id}"),
            ("/exports/E", "/exports/{export_id}"),
            ("/resources/R", "/resources/{resource_id}"),
            ("/uploads/U", "/uploads/{upload_id}"),
            ("/imports/I", "/imports/{import_id}"),
        ):
            path = path.replace(part, parameter) if path.endswith(part) or f"{part}/" in path else path
        if path.endswith("/MEMBER"):
            path = path.removesuffix("MEMBER") + "{user_id}"
        tested.add((method, f"/api{path}"))
    assert routes <= tested, routes - tested
    assert {("GET", "/api/openapi.json"), ("GET", "/api/docs")} <= tested
