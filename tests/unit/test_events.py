"""The events in ``events/`` are answered as they say, by the functions in this process."""

from collections.abc import Iterator

import pytest

from tests.events import Event, differences, events, seed
from tests.world import World


@pytest.fixture(scope="module")
def seeded(session_world: World) -> Iterator[World]:
    seed(session_world)
    yield session_world
    session_world.forget()


@pytest.mark.parametrize("event", events(), ids=str)
def test_an_event_is_answered_as_expected(seeded: World, event: Event) -> None:
    try:
        answer = seeded.invoke(event.function, event.content)
    except Exception as error:  # noqa: BLE001 - what Lambda answers then
        answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
    assert not list(differences(event.expected, answer))


def test_every_function_has_an_event(session_world: World) -> None:
    assert {event.function for event in events()} == set(session_world.stack.functions)
