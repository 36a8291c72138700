"""Error responses: they name the invalid value and state what is allowed."""

import json
import re
import uuid
from typing import Any

import pytest

from local.stack import ROOT
from projects_api.entities.errors import OwnerCannotLeaveError
from tests.support.api_client import Client, Response
from tests.support.in_process_app import InProcessApp

REJECTED_BEFOREHAND = pytest.mark.memory("rejected before any call to an engine")

#: A project that does not exist.
UNKNOWN_PROJECT = "01930000-0000-7000-8000-00000000dead"

#: The message about a cursor of another list, filter or order.
CURSOR_ERROR = (
    "This cursor does not belong to this list, filter and order. Send the next_cursor of a page of the same request, "
    "or no cursor."
)

VALID_BODY = '{"name": "n"}'

#: The method, path and body of an invalid request, and the expected messages by the location of the error.
INVALID_REQUESTS: list[tuple[str, str, str | bytes, dict[str, str]]] = [
    ("GET", "?limit=0", "", {"query limit": "'0' is too small: the minimum is 1."}),
    ("GET", "?limit=501", "", {"query limit": "'501' is too large: the maximum is 500."}),
    ("GET", "?limit=many", "", {"query limit": "'many' is not a whole number: send one in digits."}),
    ("GET", "?limit=1.5", "", {"query limit": "'1.5' is not a whole number: send one in digits."}),
    ("GET", "?limit=", "", {"query limit": "'' is not a whole number: send one in digits."}),
    ("GET", "?limit=2&limit=3", "", {"query limit": "'limit' occurs 2 times: send it once."}),
    (
        "GET",
        "?sort_field=name&sort_field=name",
        "",
        {"query sort_field": "'sort_field' occurs 2 times: send it once."},
    ),
    ("GET", "?offset=-1", "", {"query offset": "'-1' is too small: the minimum is 0."}),
    (
        "GET",
        "?sort_field=colour&sort_direction=up",
        "",
        {
            "query sort_field": "'colour' is not a valid value: use 'created_at', 'updated_at', 'name', "
            "'dataset_count', 'model_count' or 'experiment_count'.",
            "query sort_direction": "'up' is not a valid value: use 'desc' or 'asc'.",
        },
    ),
    ("POST", "", "", {"body": "The body is missing: send one JSON object."}),
    ("POST", "", "null", {"body": "The body is missing: send one JSON object."}),
    (
        "POST",
        "",
        "{'name': 1}",
        {
            "body": "The body is not valid JSON: Expecting property name enclosed in double quotes (character 1). "
            "Send one JSON object."
        },
    ),
    ("POST", "", b'{"name": "\xff"}', {"body": "The body is not UTF-8: send one JSON object in UTF-8."}),
    ("POST", "", "[" * 100_000, {"body": "The body is nested too deeply: send one JSON object."}),
    (
        "POST",
        "",
        '{"name": ' + "1" * 5_000 + "}",
        {"body": "The body contains a number with too many digits: send one JSON object."},
    ),
    ("POST", "", f"[{VALID_BODY}]", {"body": "The body is a list: send one JSON object."}),
    ("POST", "", '"n"', {"body": "The body is a string: send one JSON object."}),
    ("POST", "", "{}", {"body name": "'name' is required."}),
    ("POST", "", '{"name": " "}', {"body name": "'name' is blank: send at least 1 character."}),
    ("POST", "", '{"name": 5}', {"body name": "'name' is a number: send a string."}),
    ("POST", "", '{"name": NaN}', {"body": "The body contains NaN, which is not JSON: send one JSON object."}),
    (
        "POST",
        "",
        '{"name": "n", "unknown": [-Infinity]}',
        {"body": "The body contains -Infinity, which is not JSON: send one JSON object."},
    ),
    (
        "POST",
        "",
        '{"name": "n", "unknown": {"a": 1e999}}',
        {"body": "The body contains a number that is too large: send one JSON object."},
    ),
    ("POST", "", '{"name": "\u200b"}', {"body name": "'name' is blank: send at least 1 character."}),
    ("POST", "", '{"name": null}', {"body name": "'name' is null: send a string."}),
    ("POST", "", '{"name": ' + "[" * 500 + "]" * 500 + "}", {"body name": "'name' is a list: send a string."}),
    (
        "POST",
        "",
        '{"name": "\\ud800"}',
        {"body name": "'name' contains half of a surrogate pair: send both halves, or the character in UTF-8."},
    ),
    (
        "POST",
        "",
        json.dumps({"name": f" {'n' * 201}", "description": "d" * 2001}),
        {
            "body name": "'name' has 201 characters: the maximum is 200.",
            "body description": "'description' has 2001 characters: the maximum is 2000.",
        },
    ),
    ("POST", "", '{"name": "a\\u0007b"}', {"body name": "'name' contains the control character U+0007: remove it."}),
    ("POST", "", '{"name": "two\\nlines"}', {"body name": "'name' contains the control character U+000A: remove it."}),
    ("POST", "", '{"name": "\x7f"}', {"body name": "'name' contains the control character U+007F: remove it."}),
    (
        "POST",
        "",
        '{"name": "n", "description": "\\u001b[2J"}',
        {"body description": "'description' contains the control character U+001B: remove it."},
    ),
    (
        "PUT",
        f"/{UNKNOWN_PROJECT}",
        '{"name": "n\\u0000", "description": "\x9b"}',
        {
            "body name": "'name' contains the control character U+0000: remove it.",
            "body description": "'description' contains the control character U+009B: remove it.",
        },
    ),
    ("GET", "/nonsense", "", {"path project_id": "'nonsense' is not a valid id: send a UUID."}),
    ("GET", f"/{UNKNOWN_PROJECT}/exports/1", "", {"path export_id": "'1' is not a valid id: send a UUID."}),
    ("DELETE", f"/{UNKNOWN_PROJECT}/members/bob", "", {"path user_id": "'bob' is not a valid id: send a UUID."}),
    (
        "POST",
        f"/{UNKNOWN_PROJECT}/members",
        '{"email": "nobody", "role": "king"}',
        {"body role": "'king' is not a valid value: use viewer, editor or admin."},
    ),
    (
        "POST",
        f"/{UNKNOWN_PROJECT}/members",
        '{"email": "nobody"}',
        {"body email": "This is not an email address: send it as name@domain, in at most 254 characters."},
    ),
    (
        "POST",
        f"/{UNKNOWN_PROJECT}/members",
        '{"email": "bob@example.com", "role": "owner"}',
        {"body role": "A project has one owner, whom PUT …/owner changes: use viewer, editor or admin."},
    ),
    (
        "GET",
        f"/{UNKNOWN_PROJECT}/timeline?limit=1001&type=cat&order=up",
        "",
        {
            "query limit": "'1001' is too large: the maximum is 1000.",
            "query type": "'cat' is not a valid value: use 'dataset', 'experiment', 'model', 'deployment' or 'report'.",
            "query order": "'up' is not a valid value: use 'asc' or 'desc'.",
        },
    ),
    (
        "GET",
        f"/{UNKNOWN_PROJECT}/timeline?cursor=x",
        "",
        {"query cursor": CURSOR_ERROR},
    ),
    (
        "GET",
        f"/{UNKNOWN_PROJECT}/exports?cursor=x",
        "",
        {"query cursor": CURSOR_ERROR},
    ),
]


def read_messages(response: Response) -> dict[str, str]:
    """Return the messages of a validation error by the location of the error, such as `query limit`."""
    assert response.status == 422, response
    assert all(set(error) == {"loc", "msg", "type"} for error in response["detail"])
    return {" ".join(str(part) for part in error["loc"]): error["msg"] for error in response["detail"]}


@REJECTED_BEFOREHAND
@pytest.mark.parametrize(("method", "path", "body", "expected"), INVALID_REQUESTS)
def test_invalid_input(alice: Client, method: str, path: str, body: str | bytes, expected: dict[str, str]) -> None:
    encoded = body.encode() if isinstance(body, str) else body
    assert read_messages(alice.request(method, f"/api/projects{path}", body=encoded)) == expected


@REJECTED_BEFOREHAND
@pytest.mark.parametrize("value", [None, True, 5, 5.5, 1e30, "x", [], {}], ids=repr)
def test_invalid_type(alice: Client, value: Any) -> None:
    """Every message about a value of the wrong type is a sentence of this API, not one of pydantic."""
    project = f"/api/projects/{UNKNOWN_PROJECT}"
    fields = (
        "name", "description", "email", "role", "type", "fields", "file", "fresh", "members", "after",
        "size_bytes", "part_size_bytes", "project_id", "export_id",
    )  # fmt: skip
    file = {"name": value, "size_bytes": value, "content_type": value, "part_size_bytes": value}
    for method, path in (
        ("POST", "/api/projects"),
        ("PUT", project),
        ("PUT", f"{project}/owner"),
        ("POST", f"{project}/members"),
        ("POST", f"{project}/resources"),
        ("PUT", f"{project}/resources/{UNKNOWN_PROJECT}"),
        ("POST", f"{project}/exports"),
        ("POST", "/api/imports"),
        ("POST", f"/api/uploads/{UNKNOWN_PROJECT}/parts"),
    ):
        for body in (dict.fromkeys(fields, value), {"type": "model", "name": "n", "file": file}):
            response = alice.request(method, path, body)
            assert response.status in {201, 404, 422}, response
            if response.status == 422:
                for message in read_messages(response).values():
                    assert message.endswith("."), message
                    assert "nput should" not in message


def test_invalid_header(alice: Client) -> None:
    key = str(uuid.uuid4())
    alice.post("/api/projects", {"name": "First"}, Idempotency_Key=key)
    for value, message in (
        ("", "'Idempotency-Key' is blank: send at least 1 character."),
        ("k" * 256, "'Idempotency-Key' has 256 characters: the maximum is 255."),
        (
            key,
            ("An earlier request with this Idempotency-Key had another body. Use a new key for a new request."),
        ),
    ):
        response = alice.post("/api/projects", {"name": "Second"}, Idempotency_Key=value)
        assert read_messages(response) == {"header Idempotency-Key": message}


def test_rejected_requests(app: InProcessApp, alice: Client, bob: Client) -> None:
    project_id = alice.create()
    path = f"/api/projects/{project_id}"
    alice.post(f"{path}/members", {"email": bob.email, "role": "viewer"})
    reader = app.create_user("reader", ("read",))
    unregistered = {"email": "Nobody@example.com"}
    responses: list[tuple[Response, int, str]] = [
        (
            bob.put(path, {"name": "n"}),
            403,
            "Your role in this project is viewer. To change the project, you need the role editor or higher.",
        ),
        (bob.delete(path), 403, "Your role in this project is viewer. To delete the project, you need the role owner."),
        (
            reader.post("/api/projects", {"name": "n"}),
            403,
            "This API key has the scopes: read. POST needs 'write'. Ask an operator for a key with that scope.",
        ),
        (
            reader.get(path),
            404,
            "There is no such project, or you are not a member of it. GET /api/projects lists yours.",
        ),
        (
            alice.post(f"{path}/members", unregistered),
            404,
            "No user is registered with this email. Ask an operator to register them first.",
        ),
        (
            alice.delete(f"{path}/members/{uuid.uuid4()}"),
            404,
            "This user is not a member of the project. GET …/members lists its members.",
        ),
        (
            alice.get(f"{path}/exports/{uuid.uuid4()}"),
            404,
            "The project has no such export, or it has expired. POST …/exports starts a new one.",
        ),
        (
            alice.post(f"{path}/members", {"email": alice.email, "role": "viewer"}),
            409,
            "This user owns the project, and the owner's role can't be changed.",
        ),
        (
            alice.delete(f"{path}/members/{alice.user_id}"),
            409,
            str(OwnerCannotLeaveError()),
        ),
    ]
    for response, status, detail in responses:
        assert (response.status, response.json) == (status, {"detail": detail})


@REJECTED_BEFOREHAND
def test_gateway_errors(app: InProcessApp, alice: Client) -> None:
    anonymous = Client(app.send)
    for response, status, message in (
        (anonymous.get("/api/projects"), 401, "Unauthorized"),
        (anonymous.get("/api/projects", Authorization="Bearer prj_x"), 403, "Forbidden"),
        (alice.get("/api/nothing"), 404, "Not Found"),
        (alice.get("/api/projects/"), 404, "Not Found"),
        (alice.get("/api//projects"), 404, "Not Found"),
        (alice.request("PATCH", "/api/projects"), 404, "Not Found"),
        (alice.request("OPTIONS", "/api/projects"), 404, "Not Found"),
        (alice.post("/api/projects", body=b"x" * (6 << 20)), 413, "Request Entity Too Large"),
        (alice.post("/api/projects", body=b"x" * (10 << 20) + b"x"), 413, "Request Entity Too Large"),
    ):
        assert (response.status, response.json) == (status, {"message": message})


@REJECTED_BEFOREHAND
def test_echoed_value(alice: Client) -> None:
    """An invalid value is echoed in few characters, all printable, and without the secret of an API key."""
    (long,) = read_messages(alice.get(f"/api/projects?limit={'9' * 50}x{'y' * 5_000}")).values()
    assert len(long) < 200
    (with_control_characters,) = read_messages(alice.get("/api/projects?limit=%00%1b%5b31m")).values()
    assert with_control_characters.isprintable()
    for response in (
        alice.get(f"/api/projects?limit={alice.api_key}"),
        alice.get(f"/api/projects/{alice.api_key}"),
    ):
        (message,) = read_messages(response).values()
        assert "prj_…" in message
        assert alice.api_key.split("_", 2)[2] not in message


#: Texts that an attacker may send.
UNUSUAL_BODIES: list[dict[str, Any]] = [
    {"name": "a\\u0000b", "description": "\\" * 100},
    {"name": "\u202etxt.exe", "description": "\ufeff\u200b"},
    {"name": "\U0001f600" * 200},
    {"name": "../../etc/passwd", "description": "'; DROP TABLE projects; --"},
    {"name": "${jndi:ldap://x}", "description": "{{7*7}} %s %n <script>"},
    {"name": "#name", "description": ":value"},
]


@pytest.mark.parametrize("body", UNUSUAL_BODIES, ids=range(len(UNUSUAL_BODIES)))
def test_unusual_texts_are_unchanged(alice: Client, body: dict[str, str]) -> None:
    created = alice.post("/api/projects", body)
    assert created.status == 201
    project = alice.get(f"/api/projects/{created['project_id']}")["project"]
    assert {name: project[name] for name in body} == body
    repeatable = alice.post("/api/projects", body, Idempotency_Key="k")
    assert repeatable.status == 201
    assert alice.delete(f"/api/projects/{repeatable['project_id']}").status == 200


@REJECTED_BEFOREHAND
@pytest.mark.parametrize(
    "query",
    ["search=%00", "search=%ff%fe", "search=%ed%a0%80", "search=" + "x" * 8_000, "search=%F0%9F%98%80", "limit=1,2",
     "limit=1&limit=2", "limit", "limit[]=1", "&&&=&", "offset=1e3", f"offset={'9' * 4_300}",
     f"limit={'9' * 5_000}"],
)  # fmt: skip
def test_unusual_query(alice: Client, query: str) -> None:
    assert alice.get(f"/api/projects?{query}").status in {200, 422}


@REJECTED_BEFOREHAND
@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "multipart/form-data", "application/json; charset=utf-16", "\xff/\xfe", "application/xml"],
)
def test_content_type_is_ignored(alice: Client, content_type: str) -> None:
    assert alice.post("/api/projects", {"name": "n"}, Content_Type=content_type).status == 201


@REJECTED_BEFOREHAND
def test_large_body(alice: Client) -> None:
    """The response to a body of some megabytes is short."""
    response = alice.post("/api/projects", {"name": "n" * 4_000_000})
    assert read_messages(response) == {"body name": "'name' has 4000000 characters: the maximum is 200."}
    assert len(response.body) < 300


def test_whitespace(alice: Client) -> None:
    """A description may have several lines. Whitespace around a name is removed."""
    description = "First.\n\tSecond, of Windows:\r\nthird."
    project = alice.post("/api/projects", {"name": "\n\t Name \n", "description": description})["project"]
    assert (project["name"], project["description"]) == ("Name", description)


@REJECTED_BEFOREHAND
def test_deeply_nested_body(alice: Client) -> None:
    """A body nested about as deeply as the interpreter's stack allows is rejected, and crashes nothing."""
    path = f"/api/projects/{alice.create()}"
    for depth in (1_000, *range(9_940, 10_000)):
        body = '{"name": "n", "more": ' + "[" * depth + "]" * depth + "}"
        response = alice.request("PUT", path, body=body.encode())
        assert (response.status, response["detail"][0]["msg"][:27]) == (422, "The body is nested too deep")


@REJECTED_BEFOREHAND
def test_documented_response(alice: Client) -> None:
    """The response in docs/reference/errors.md is that of the API."""
    documented = re.search(r'{"detail":\[.*?]}', (ROOT / "docs/reference/errors.md").read_text(), re.DOTALL)
    assert documented
    assert alice.get("/api/projects?limit=501&sort_direction=up").json == json.loads(documented[0])
