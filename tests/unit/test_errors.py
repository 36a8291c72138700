"""What a user is told who sends something wrong: which value it was, and what is allowed."""

import json
import uuid
from typing import Any

import pytest

from projects_api.entities.errors import InvalidInputError
from tests.support.api_client import Answer, Client
from tests.support.in_process_app import InProcessApp

#: A project that is not there.
NOBODYS = "01930000-0000-7000-8000-00000000dead"

PROJECT = '{"name": "n"}'

#: What is sent, and all that is said to be wrong with it: where, and in which words.
WRONG: list[tuple[str, str, str | bytes, dict[str, str]]] = [
    ("GET", "?limit=0", "", {"query limit": "'0' is too little: give at least 1."}),
    ("GET", "?limit=501", "", {"query limit": "'501' is too much: give at most 500."}),
    ("GET", "?limit=many", "", {"query limit": "'many' is not a whole number: give one in digits."}),
    ("GET", "?limit=1.5", "", {"query limit": "'1.5' is not a whole number: give one in digits."}),
    ("GET", "?limit=", "", {"query limit": "'' is not a whole number: give one in digits."}),
    ("GET", "?limit=2&limit=3", "", {"query limit": "'limit' is given 2 times: give it once."}),
    (
        "GET",
        "?sort_field=name&sort_field=name",
        "",
        {"query sort_field": "'sort_field' is given 2 times: give it once."},
    ),
    ("GET", "?offset=-1", "", {"query offset": "'-1' is too little: give at least 0."}),
    (
        "GET",
        "?sort_field=colour&sort_direction=up",
        "",
        {
            "query sort_field": "'colour' is not known: give 'created_at', 'name', 'dataset_count', 'model_count' or "
            "'experiment_count'.",
            "query sort_direction": "'up' is not known: give 'desc' or 'asc'.",
        },
    ),
    ("POST", "", "", {"body": "The body is missing: send one JSON object."}),
    ("POST", "", "null", {"body": "The body is missing: send one JSON object."}),
    (
        "POST",
        "",
        "{'name': 1}",
        {
            "body": "The body is not JSON: Expecting property name enclosed in double quotes (character 1). "
            "Send one JSON object."
        },
    ),
    ("POST", "", b'{"name": "\xff"}', {"body": "The body is not UTF-8: send one JSON object in UTF-8."}),
    ("POST", "", "[" * 100_000, {"body": "The body is nested too deeply: send one JSON object."}),
    (
        "POST",
        "",
        '{"name": ' + "1" * 5_000 + "}",
        {"body": "The body has a number with too many digits: send one JSON object."},
    ),
    ("POST", "", f"[{PROJECT}]", {"body": "The body is a list: send one JSON object."}),
    ("POST", "", '"n"', {"body": "The body is a string: send one JSON object."}),
    ("POST", "", "{}", {"body name": "'name' is missing: it is required."}),
    ("POST", "", '{"name": " "}', {"body name": "'name' is blank: give at least 1 character."}),
    ("POST", "", '{"name": 5}', {"body name": "'name' is a number: give a string."}),
    ("POST", "", '{"name": NaN}', {"body name": "'name' is a number: give a string."}),
    ("POST", "", '{"name": null}', {"body name": "'name' is null: give a string."}),
    ("POST", "", '{"name": ' + "[" * 500 + "]" * 500 + "}", {"body name": "'name' is a list: give a string."}),
    (
        "POST",
        "",
        '{"name": "\\ud800"}',
        {"body name": "'name' holds half of a surrogate pair, which is no character: send both halves, or UTF-8."},
    ),
    (
        "POST",
        "",
        json.dumps({"name": f" {'n' * 201}", "description": "d" * 2001}),
        {
            "body name": "'name' has 201 characters: give at most 200.",
            "body description": "'description' has 2001 characters: give at most 2000.",
        },
    ),
    ("POST", "", '{"name": "a\\u0007b"}', {"body name": "'name' holds the control character U+0007: leave it out."}),
    ("POST", "", '{"name": "two\\nlines"}', {"body name": "'name' holds the control character U+000A: leave it out."}),
    ("POST", "", '{"name": "\x7f"}', {"body name": "'name' holds the control character U+007F: leave it out."}),
    (
        "POST",
        "",
        '{"name": "n", "description": "\\u001b[2J"}',
        {"body description": "'description' holds the control character U+001B: leave it out."},
    ),
    (
        "PUT",
        f"/{NOBODYS}",
        '{"name": "n\\u0000", "description": "\x9b"}',
        {
            "body name": "'name' holds the control character U+0000: leave it out.",
            "body description": "'description' holds the control character U+009B: leave it out.",
        },
    ),
    ("GET", "/nonsense", "", {"path project_id": "'nonsense' is not an id: give a UUID."}),
    ("GET", f"/{NOBODYS}/exports/1", "", {"path export_id": "'1' is not an id: give a UUID."}),
    ("DELETE", f"/{NOBODYS}/members/bob", "", {"path user_id": "'bob' is not an id: give a UUID."}),
    (
        "POST",
        f"/{NOBODYS}/members",
        '{"email": "nobody", "role": "king"}',
        {"body role": "'king' is not known: give viewer, editor or admin."},
    ),
    (
        "POST",
        f"/{NOBODYS}/members",
        '{"email": "nobody"}',
        {"body email": "'nobody' is not an email address: give it as name@domain, in at most 254 characters."},
    ),
    (
        "POST",
        f"/{NOBODYS}/members",
        '{"email": "bob@example.com", "role": "owner"}',
        {"body role": "A project has one owner, who created it: give viewer, editor or admin."},
    ),
    (
        "GET",
        f"/{NOBODYS}/timeline?limit=1001&type=cat&order=up",
        "",
        {
            "query limit": "'1001' is too much: give at most 1000.",
            "query type": "'cat' is not known: give 'dataset', 'experiment', 'model', 'deployment' or 'report'.",
            "query order": "'up' is not known: give 'asc' or 'desc'.",
        },
    ),
    (
        "GET",
        f"/{NOBODYS}/timeline?cursor=x",
        "",
        {
            "query cursor": "This is no cursor of this timeline: give a page's next_cursor with the same type and "
            "order, or none."
        },
    ),
    (
        "GET",
        f"/{NOBODYS}/exports?cursor=x",
        "",
        {"query cursor": "This is no cursor of this list: give a page's next_cursor, or none."},
    ),
]


def said(answer: Answer) -> dict[str, str]:
    """All that an answer says is wrong, by where it is."""
    assert answer.status == 422, answer
    assert all(set(error) == {"loc", "msg", "type"} for error in answer["detail"])
    return {" ".join(str(part) for part in error["loc"]): error["msg"] for error in answer["detail"]}


@pytest.mark.parametrize(("method", "path", "body", "expected"), WRONG)
def test_input_that_does_not_validate_is_explained(
    alice: Client, method: str, path: str, body: str | bytes, expected: dict[str, str]
) -> None:
    sent = body.encode() if isinstance(body, str) else body
    assert said(alice.request(method, f"/api/projects{path}", body=sent)) == expected


def test_a_header_that_does_not_validate_is_explained(alice: Client) -> None:
    key = str(uuid.uuid4())
    alice.post("/api/projects", {"name": "First"}, Idempotency_Key=key)
    for wrong, message in (
        ("", "'Idempotency-Key' is blank: give at least 1 character."),
        ("k" * 256, "'Idempotency-Key' has 256 characters: give at most 255."),
        (key, "This Idempotency-Key came with another name or description before. Give a new key for a new project."),
    ):
        answer = alice.post("/api/projects", {"name": "Second"}, Idempotency_Key=wrong)
        assert said(answer) == {"header Idempotency-Key": message}


def test_who_may_not_is_told_why_and_what_it_takes(app: InProcessApp, alice: Client, bob: Client) -> None:
    project_id = alice.create()
    path = f"/api/projects/{project_id}"
    alice.post(f"{path}/members", {"email": bob.email, "role": "viewer"})
    reader = app.user("reader", ("read",))
    nobody, somebody = {"email": "Nobody@example.com"}, f"{path}/members/{uuid.uuid4()}"
    told: list[tuple[Answer, int, str]] = [
        (
            bob.put(path, {"name": "n"}),
            403,
            "Your role in this project is viewer; to change the project takes at least editor.",
        ),
        (bob.delete(path), 403, "Your role in this project is viewer; to delete the project takes owner."),
        (
            reader.post("/api/projects", {"name": "n"}),
            403,
            "This API key has the scopes: read. POST takes 'write'; ask for such a key.",
        ),
        (
            reader.get(path),
            404,
            "There is no such project, or you are not a member of it. GET /api/projects lists yours.",
        ),
        (
            alice.post(f"{path}/members", nobody),
            404,
            "No user is registered with this email. Ask an operator to register them first.",
        ),
        (
            alice.delete(somebody),
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
            "This user owns the project, and the owner's role does not change.",
        ),
        (
            alice.delete(f"{path}/members/{alice.user_id}"),
            409,
            "The owner can't leave or be removed. Delete the project if nobody needs it any more.",
        ),
    ]
    for answer, status, detail in told:
        assert (answer.status, answer.json) == (status, {"detail": detail})


def test_what_the_gateway_refuses_it_refuses_in_its_own_words(app: InProcessApp, alice: Client) -> None:
    nobody = Client(app.send)
    for answer, status, message in (
        (nobody.get("/api/projects"), 401, "Unauthorized"),
        (nobody.get("/api/projects", Authorization="Bearer prj_x"), 403, "Forbidden"),
        (alice.get("/api/nothing"), 404, "Not Found"),
        (alice.get("/api/projects/"), 404, "Not Found"),
        (alice.request("PATCH", "/api/projects"), 404, "Not Found"),
        (alice.request("OPTIONS", "/api/projects"), 404, "Not Found"),
        (alice.post("/api/projects", body=b"x" * (6 << 20)), 413, "Request Entity Too Large"),
        (alice.post("/api/projects", body=b"x" * (10 << 20) + b"x"), 413, "Request Entity Too Large"),
    ):
        assert (answer.status, answer.json) == (status, {"message": message})


def test_what_is_shown_of_a_wrong_value_is_short_and_printable_and_no_key(alice: Client) -> None:
    (long,) = said(alice.get(f"/api/projects?limit={'9' * 50}x{'y' * 5_000}")).values()
    assert len(long) < 200
    (strange,) = said(alice.get("/api/projects?limit=%00%1b%5b31m")).values()
    assert strange.isprintable()
    for answer in (
        alice.get(f"/api/projects?limit={alice.api_key}"),
        alice.get(f"/api/projects/{alice.api_key}"),
        alice.post(f"/api/projects/{uuid.uuid4()}/members", {"email": alice.api_key}),
    ):
        (secret,) = said(answer).values()
        assert "prj_…" in secret
        assert alice.api_key.split("_", 2)[2] not in secret


#: What somebody might send who looks for a weak spot.
ODD: list[dict[str, Any]] = [
    {"name": "a\\u0000b", "description": "\\" * 100},
    {"name": "e\u0301", "description": "\N{LATIN SMALL LETTER E WITH ACUTE}"},
    {"name": "\u202etxt.exe", "description": "\ufeff\u200b"},
    {"name": "\U0001f600" * 200},
    {"name": "../../etc/passwd", "description": "'; DROP TABLE projects; --"},
    {"name": "${jndi:ldap://x}", "description": "{{7*7}} %s %n <script>"},
    {"name": "#name", "description": ":value"},
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_odd_texts_come_back_as_they_were_sent(alice: Client, body: dict[str, str]) -> None:
    created = alice.post("/api/projects", body)
    assert created.status == 201
    project = alice.get(f"/api/projects/{created['project_id']}")["project"]
    assert {name: project[name] for name in body} == body
    found = alice.post("/api/projects", body, Idempotency_Key="k")
    assert found.status == 201
    assert alice.delete(f"/api/projects/{found['project_id']}").status == 200


@pytest.mark.parametrize(
    "query",
    ["search=%00", "search=%ff%fe", "search=%ed%a0%80", "search=" + "x" * 8_000, "search=%F0%9F%98%80", "limit=1,2",
     "limit=1&limit=2", "limit", "limit[]=1", "&&&=&", "offset=1e3", f"offset={'9' * 4_300}",
     f"limit={'9' * 5_000}"],
)  # fmt: skip
def test_no_query_makes_a_server_error(alice: Client, query: str) -> None:
    assert alice.get(f"/api/projects?{query}").status in {200, 422}


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "multipart/form-data", "application/json; charset=utf-16", "\xff/\xfe", "application/xml"],
)
def test_no_content_type_makes_a_server_error(alice: Client, content_type: str) -> None:
    assert alice.post("/api/projects", {"name": "n"}, Content_Type=content_type).status == 201


def test_a_body_of_some_megabytes_is_refused_in_few_words(alice: Client) -> None:
    answer = alice.post("/api/projects", {"name": "n" * 4_000_000})
    assert said(answer) == {"body name": "'name' has 4000000 characters: give at most 200."}
    assert len(answer.body) < 300


def test_a_description_may_have_several_lines_and_the_space_around_a_name_is_cut_off(alice: Client) -> None:
    description = "First.\n\tSecond, of Windows:\r\nthird."
    project = alice.post("/api/projects", {"name": "\n\t Name \n", "description": description})["project"]
    assert (project["name"], project["description"]) == ("Name", description)


def test_a_body_about_as_deep_as_the_interpreters_stack_is_refused(alice: Client) -> None:
    path = f"/api/projects/{alice.create()}"
    for depth in (1_000, *range(9_940, 10_000)):
        body = '{"name": "n", "more": ' + "[" * depth + "]" * depth + "}"
        answer = alice.request("PUT", path, body=body.encode())
        assert (answer.status, answer["detail"][0]["msg"][:27]) == (422, "The body is nested too deep")


@pytest.mark.parametrize(
    ("function", "event", "message"),
    [
        ("RegisterUser", {"name": "A"}, "email: Field required"),
        ("RegisterUser", {}, "email: Field required; name: Field required"),
        ("RegisterUser", ["a@b"], "Input should be a valid dictionary or instance of NewUser"),
        ("RegisterUser", {"email": 5, "name": "A"}, "email: Input should be a valid string"),
        ("RegisterUser", {"email": "a@b.c", "name": "A\x1b"}, "name: It holds the control character U+001B"),
        ("CreateApiKey", {"email": "a@b.c", "scopes": ["all"]}, "scopes.0: Input should be 'read', 'write' or 'admin'"),
        (
            "CreateApiKey",
            {"email": "a@b.c", "scopes": ["read"], "expires_at": "2027-01-01"},
            "expires_at: Input should have timezone info",
        ),
        (
            "CreateApiKey",
            {"email": "a@b.c", "scopes": ["read"], "expires_at": "9999-12-31T23:59:59-05:00"},
            "expires_at: it has no time in UTC between the years 1 and 9999",
        ),
        ("RevokeApiKey", {"key_id": "prj_x"}, "key_id: String should match pattern '^[0-9a-f]{16}$'"),
    ],
)
def test_an_operator_is_told_in_one_line_what_is_wrong(
    app: InProcessApp, function: str, event: Any, message: str
) -> None:
    with pytest.raises(InvalidInputError) as error:
        app.invoke(function, event)
    assert str(error.value) == message
