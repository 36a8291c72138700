"""A purge may fail at any of its calls."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest

from tests.clients import Client
from tests.interruptions import DeathError, die, interrupted, throttle
from tests.world import World


@pytest.mark.parametrize("fails", [die, throttle])
def test_a_purge_that_fails_at_any_call_is_gone_on_with(
    world: World, alice: Client, bob: Client, fails: Callable[[], None]
) -> None:
    for number in count():
        project_id = alice.post("/api/projects", {"name": "n"}, Idempotency_Key=str(number))["project_id"]
        alice.post(f"/api/projects/{project_id}/members", {"email": bob.email})
        for body in (b"first", b"second"):
            artifact = world.store(project_id, "reports/r", body)
        world.deliver(
            [world.event("Report Created", project_id, {"id": project_id, "name": "r", "artifact": artifact})]
        )
        alice.delete(f"/api/projects/{project_id}")
        message = {"project_id": project_id}
        with interrupted(number, fails) as calls, suppress(DeathError):
            world.deliver([message], "PurgeProject")
        world.deliver([message], "PurgeProject")
        assert world.items(project_id) == [], calls
        assert world.objects(project_id) == [], calls
        assert world.broken_invariants() == [], calls
        if len(calls) <= number:
            break
    assert number > 10
    world.work_off()
