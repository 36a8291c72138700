"""A purge may fail at any of its calls."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest

from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import DeathError, die, interrupted, throttle


@pytest.mark.parametrize("fails", [die, throttle])
def test_a_purge_that_fails_at_any_call_is_gone_on_with(
    app: InProcessApp, alice: Client, bob: Client, fails: Callable[[], None]
) -> None:
    for number in count():
        project_id = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=str(number))["project_id"]
        alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
        for body in (b"first", b"second"):
            artifact = app.store(project_id, "reports/r", body)
        app.deliver([app.event("Report Created", project_id, {"id": project_id, "name": "r", "artifact": artifact})])
        alice.delete(f"/api/projects/{project_id}")
        message = {"project_id": project_id}
        with interrupted(number, fails) as calls, suppress(DeathError):
            app.deliver([message], "PurgeProject")
        app.deliver([message], "PurgeProject")
        assert app.items(project_id) == [], calls
        assert app.objects(project_id) == [], calls
        assert app.broken_invariants() == [], calls
        if len(calls) <= number:
            break
    assert number > 10
    app.process_queues()
