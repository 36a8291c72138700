"""The sample events in `events/`: each function returns the expected response."""

from collections.abc import Iterator

import pytest

from tests.support.in_process_app import InProcessApp
from tests.support.sample_events import SampleEvent, create_sample_data, find_differences, load_sample_events


@pytest.fixture(scope="module")
def app_with_sample_data(session_app: InProcessApp) -> Iterator[InProcessApp]:
    create_sample_data(session_app)
    yield session_app
    session_app.reset()


@pytest.mark.parametrize("event", load_sample_events(), ids=str)
def test_response_to_event(app_with_sample_data: InProcessApp, event: SampleEvent) -> None:
    try:
        response = app_with_sample_data.invoke(event.function, event.content)
    except Exception as error:  # noqa: BLE001 - Lambda responds to any error with its type and message
        response = {"errorType": type(error).__name__, "errorMessage": str(error)}
    assert not list(find_differences(event.expected, response))


def test_every_function_has_events(session_app: InProcessApp) -> None:
    assert {event.function for event in load_sample_events()} == set(session_app.stack.functions)
