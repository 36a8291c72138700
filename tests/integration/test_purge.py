"""Faults in a purge: the next purge continues."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest

from tests.support.api_client import Client
from tests.support.in_process_app import InProcessApp
from tests.support.interruptions import CrashError, crash, interrupt_call, throttle


@pytest.mark.parametrize("fail", [crash, throttle])
def test_purge_fails_at_any_call(app: InProcessApp, alice: Client, bob: Client, fail: Callable[[], None]) -> None:
    """A second purge deletes the items and objects that the first one left."""
    for number in count():
        project_id = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=str(number))["project_id"]
        alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
        for body in (b"first", b"second"):
            artifact = app.store_artifact(project_id, "reports/r", body)
        app.deliver(
            [app.build_event("Report Created", project_id, {"id": project_id, "name": "r", "artifact": artifact})]
        )
        alice.delete(f"/api/projects/{project_id}")
        message = {"project_id": project_id}
        with interrupt_call(number, fail) as calls, suppress(CrashError):
            app.deliver([message], "PurgeProject")
        app.deliver([message], "PurgeProject")
        assert app.find_items(project_id) == [], calls
        assert app.find_objects(project_id) == [], calls
        assert app.find_broken_invariants() == [], calls
        if len(calls) <= number:
            break
    assert number > 10
    app.process_queues()
