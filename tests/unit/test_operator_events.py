"""Invalid events of the functions that operators invoke: the error says what to send."""

from typing import Any

import pytest

from projects_api.entities.errors import InvalidInputError
from tests.support.in_process_app import InProcessApp


@pytest.mark.memory("rejected before any call to an engine")
@pytest.mark.parametrize(
    ("function", "event", "message"),
    [
        ("RegisterUser", {"name": "A"}, "'email' is required."),
        ("RegisterUser", {}, "'email' is required. 'name' is required."),
        ("RegisterUser", ["a@b"], "Send a JSON object with the fields 'email', 'name'."),
        ("RegisterUser", {"email": 5, "name": "A"}, "'email' must be a string."),
        (
            "RegisterUser",
            {"email": "a@b.c", "name": "A\x1b"},
            "'name' contains the control character U+001B: remove it.",
        ),
        (
            "CreateApiKey",
            {"email": "a@b.c", "scopes": ["all", "none"]},
            "'scopes' has an unknown value: use 'read', 'write' or 'admin'.",
        ),
        ("CreateApiKey", {"email": "a@b.c", "scopes": "read"}, "'scopes' must be a list."),
        (
            "CreateApiKey",
            {"email": "a@b.c", "scopes": ["read"], "expires": "2027-01-01T00:00:00Z"},  # would never expire
            "The event has an unknown field. Its fields are 'email', 'scopes', 'expires_at'.",
        ),
        (
            "CreateApiKey",
            {"email": "a@b.c", "scopes": ["read"], "expires_at": "tomorrow"},
            "'expires_at' is not a time: send one such as 2027-01-01T09:00:00Z.",
        ),
        (
            "CreateApiKey",
            {"email": "a@b.c", "scopes": ["read"], "expires_at": "2027-01-01"},
            "'expires_at' has no time zone: send a time such as 2027-01-01T09:00:00Z.",
        ),
        (
            "CreateApiKey",
            {"email": "a@b.c", "scopes": ["read"], "expires_at": "9999-12-31T23:59:59-05:00"},
            "expires_at: in UTC, the time must lie between the years 1 and 9999.",
        ),
        (
            "RevokeApiKey",
            {"key_id": "prj_x"},
            "'key_id' must be the 16 hexadecimal digits between the first two '_' of a key.",
        ),
        ("TransferProject", {"project_id": "Churn", "email": "a@b.c"}, "'project_id' must be an id: a UUID."),
        (
            "DeactivateUser",
            {"a@b.c": True},
            "'email' is required. The event has an unknown field. Its fields are 'email'.",
        ),
        ("ListUsers", {"limit": 101}, "'limit' is too large: the maximum is 100."),
    ],
)
def test_invalid_operator_event(app: InProcessApp, function: str, event: Any, message: str) -> None:
    """A function that operators invoke raises an error with a message of one line."""
    with pytest.raises(InvalidInputError) as error:
        app.invoke(function, event)
    assert str(error.value) == message
