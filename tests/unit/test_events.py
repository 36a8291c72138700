"""The events in ``events/`` are answered as they say, by the functions in this process."""

from collections.abc import Iterator

import pytest

from tests.support.in_process_app import InProcessApp
from tests.support.sample_events import Event, differences, events, seed


@pytest.fixture(scope="module")
def seeded(session_app: InProcessApp) -> Iterator[InProcessApp]:
    seed(session_app)
    yield session_app
    session_app.forget()


@pytest.mark.parametrize("event", events(), ids=str)
def test_an_event_is_answered_as_expected(seeded: InProcessApp, event: Event) -> None:
    try:
        answer = seeded.invoke(event.function, event.content)
    except Exception as error:  # noqa: BLE001 - what Lambda answers then
        answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
    assert not list(differences(event.expected, answer))


def test_every_function_has_an_event(session_app: InProcessApp) -> None:
    assert {event.function for event in events()} == set(session_app.stack.functions)
